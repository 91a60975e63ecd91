"""The paper's genetic algorithm: steady state, tournaments of five, no crossover (table S2).

The best of a random tournament becomes the parent, and its child takes the place of the worst of
the same tournament.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evolution.individual import Individual, State, pack, unpack
from evolution.randomness import Purpose, stream


@dataclass
class SteadyStateGA:
    """A population that ``ask`` draws parents from and ``tell`` puts children into.

    Attributes:
        population_size: Individuals kept; the founders are so many.
        tournament_size: Individuals drawn, without replacement, for each child.
        removal: Whom a child replaces: the worst of its parent's "same" tournament, as in the published
            code, or the worst of "another" one. The paper leaves it open.
        seed: Together with ``run`` decides every tournament.
        run: Number of this replicate.
        population: The individuals, in no order.
        evaluations: Individuals told so far.
    """

    name: ClassVar[str] = "steady-state-ga"

    population_size: int = 250
    tournament_size: int = 5
    removal: str = "same"
    seed: int = 0
    run: int = 0
    population: list[Individual] = field(default_factory=list, init=False, repr=False)
    evaluations: int = field(default=0, init=False)
    _replaced: int = field(default=-1, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.removal not in ("same", "another"):
            raise ValueError(f"expected removal to be 'same' or 'another', got {self.removal!r}")
        if not 2 <= self.tournament_size <= self.population_size:
            raise ValueError(
                f"expected a tournament of 2 to population_size={self.population_size} individuals, "
                f"got {self.tournament_size}"
            )

    def ask(self) -> list[Individual | None]:
        """The founders, and then the winner of one tournament after the other."""
        if not self.population:
            return [None] * self.population_size
        chance = stream(self.seed, self.run, self.evaluations, Purpose.SELECTION)
        ranked = self._tournament(chance)
        self._replaced = ranked[0] if self.removal == "same" else self._tournament(chance)[0]
        return [self.population[ranked[-1]]]

    def tell(self, children: list[Individual]) -> None:
        """Take in the founders, or put a child in the place of the tournament's loser."""
        if not self.population:
            if len(children) != self.population_size:
                raise ValueError(f"expected {self.population_size} founders, got {len(children)}")
            self.population = list(children)
        elif self._replaced < 0 or len(children) != 1:
            raise ValueError(f"expected one child for each ask, got {len(children)}")
        else:
            [self.population[self._replaced]] = children
            self._replaced = -1
        self.evaluations += len(children)

    def state(self) -> State:
        """The population and the number of evaluations."""
        return {"evaluations": np.array(self.evaluations), **pack("population", self.population)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        self.evaluations = int(state["evaluations"])
        self.population = unpack("population", state)

    def _tournament(self, chance: np.random.Generator) -> list[int]:
        """Random members of the population, worst first."""
        entrants = chance.choice(self.population_size, self.tournament_size, replace=False)
        return sorted(entrants, key=lambda entrant: self.population[entrant].fitness)
