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
        return [self.ask_ahead(0)] if self.population else [None] * self.population_size

    def ask_ahead(self, children: int) -> Individual:
        """The winner of the tournament after the next ``children``, in the population as it is."""
        [*_, winner] = self._tournament(self._chance(children))
        return self.population[winner]

    def tell(self, children: list[Individual]) -> None:
        """Take in the founders, or put a child in the place of the loser of its parent's tournament.

        With several children in the making another may have come into the tournament since the child was
        asked for: the worst now is replaced.
        """
        if not self.population:
            if len(children) != self.population_size:
                raise ValueError(f"expected {self.population_size} founders, got {len(children)}")
            self.population = list(children)
        elif len(children) != 1:
            raise ValueError(f"expected one child for each ask, got {len(children)}")
        else:
            chance = self._chance(0)
            loser, *_ = self._tournament(chance)
            if self.removal == "another":
                loser, *_ = self._tournament(chance)
            [self.population[loser]] = children
        self.evaluations += len(children)

    def state(self) -> State:
        """The population and the number of evaluations."""
        return {"evaluations": np.array(self.evaluations), **pack("population", self.population)}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        self.evaluations = int(state["evaluations"])
        self.population = unpack("population", state)

    def _chance(self, ahead: int) -> np.random.Generator:
        """The random choices that belong to the child after the next ``ahead``."""
        return stream(self.seed, self.run, self.evaluations + ahead, Purpose.SELECTION)

    def _tournament(self, chance: np.random.Generator) -> list[int]:
        """Random members of the population, worst first."""
        entrants = chance.choice(self.population_size, self.tournament_size, replace=False).tolist()
        return sorted(entrants, key=lambda entrant: self.population[entrant].fitness)
