"""The paper's genetic algorithm with a divergence that follows how often children are better.

Rechenberg's 1/5 success rule for a whole population: more successes than wanted make the steps
longer, fewer make them shorter, down to a floor. (Step sizes of single individuals are known to
collapse: short steps are rarely fatal, and so they are inherited.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.individual import Individual, State


@dataclass
class SuccessRuleGA(SteadyStateGA):
    """Steady state, with one scale of the operator's divergence for all.

    Attributes:
        successes: Share of children fitter than their parents at which the scale stays as it is.
        memory: Children over which a run of nothing but successes multiplies the scale by e.
        floor: Smallest scale.
        ceiling: Largest scale.
        scale: What the operator's divergence is multiplied by now.
    """

    name: ClassVar[str] = "success-rule-ga"

    successes: float = 0.2
    memory: int = 100
    floor: float = 0.1
    ceiling: float = 10.0
    scale: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.floor <= 1 <= self.ceiling:
            raise ValueError(
                f"expected 0 < floor <= 1 <= ceiling, got floor={self.floor}, ceiling={self.ceiling}"
            )
        if not 0 < self.successes < 1 or self.memory < 1:
            raise ValueError(
                "expected a share of successes between 0 and 1 and a memory of at least one child, "
                f"got successes={self.successes}, memory={self.memory}"
            )

    def ask_scale(self, children: int) -> float:
        """The scale if none of the children in the making is a success, as most are none."""
        scale = self.scale
        for _ in range(children):
            scale = self._after(scale, success=False)
        return scale

    def tell(self, children: list[Individual]) -> None:
        """As the paper's algorithm does; and adapt the scale."""
        if self.population and len(children) == 1:
            self.scale = self._after(self.scale, children[0].fitness > self.ask_ahead(0).fitness)
        super().tell(children)

    def state(self) -> State:
        """The population, the number of evaluations and the scale."""
        return super().state() | {"scale": np.array(self.scale)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        super().load(state)
        self.scale = float(state["scale"])

    def _after(self, scale: float, success: bool) -> float:
        change = (success - self.successes) / ((1 - self.successes) * self.memory)
        return float(np.clip(scale * np.exp(change), self.floor, self.ceiling))
