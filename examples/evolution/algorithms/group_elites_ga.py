"""The paper's genetic algorithm with divergences that compete in groups (GESMR, arXiv:2204.04817).

Every child belongs to a group, and every group has a divergence. What counts is the best child of a
group, not the average one: short steps improve often and little, long steps seldom and much. After a
round the groups whose best children gained most pass their divergence on, a little changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.individual import Individual, State
from evolution.randomness import Purpose, stream


@dataclass
class GroupElitesGA(SteadyStateGA):
    """Steady state, with a scale of the operator's divergence for each of some groups of children.

    Attributes:
        groups: Number of groups; their first scales are spread over the whole range.
        children: Of a group in a round.
        spread: A scale that is passed on is multiplied by at most this, or divided.
        floor: Smallest scale.
        ceiling: Largest scale.
        scales: What the operator's divergence is multiplied by in each group (G,).
        gains: By how much the best child of a group in this round was fitter than its parent (G,).
    """

    name: ClassVar[str] = "group-elites-ga"

    groups: int = 10
    children: int = 10
    spread: float = 2.0
    floor: float = 0.1
    ceiling: float = 10.0
    scales: np.ndarray = field(init=False, repr=False)
    gains: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.floor <= self.ceiling or self.spread < 1:
            raise ValueError(
                "expected 0 < floor <= ceiling and a spread of at least 1, "
                f"got floor={self.floor}, ceiling={self.ceiling}, spread={self.spread}"
            )
        if self.groups < 2 or self.children < 1:
            raise ValueError(
                f"expected at least 2 groups of at least one child, got {self.groups} of {self.children}"
            )
        self.scales = np.geomspace(self.floor, self.ceiling, self.groups)
        self.gains = np.full(self.groups, -np.inf)

    def ask_scale(self, children: int) -> float:
        """That of the group of the child after the next ``children``."""
        return float(self.scales[self._group(children)])

    def tell(self, children: list[Individual]) -> None:
        """As the paper's algorithm does; and, after the last child of a round, choose new scales."""
        if not self.population or len(children) != 1:
            super().tell(children)
            return
        group = self._group(0)
        gain = children[0].fitness - self.ask_ahead(0).fitness
        self.gains[group] = max(self.gains[group], gain)
        super().tell(children)
        if (self.evaluations - self.population_size) % (self.groups * self.children) == 0:
            self._choose_scales()

    def state(self) -> State:
        """The population, the number of evaluations and the groups."""
        return super().state() | {"scales": self.scales, "gains": self.gains.copy()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        super().load(state)
        self.scales, self.gains = np.array(state["scales"]), np.array(state["gains"])

    def _group(self, ahead: int) -> int:
        return (self.evaluations + ahead - self.population_size) % self.groups

    def _choose_scales(self) -> None:
        """The best scale stays; the others descend from the better half. A tie goes to the shorter step."""
        order = np.lexsort((self.scales, -self.gains))
        chance = stream(self.seed, self.run, self.evaluations, Purpose.ADAPTATION)
        elites = self.scales[order[: self.groups // 2]]
        offspring = chance.choice(elites, self.groups - 1)
        offspring = offspring * self.spread ** chance.uniform(-1, 1, self.groups - 1)
        scales = np.concatenate([elites[:1], np.clip(offspring, self.floor, self.ceiling)])
        self.scales, self.gains = scales, np.full(self.groups, -np.inf)
