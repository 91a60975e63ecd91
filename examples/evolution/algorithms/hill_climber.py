"""Hill climbing: a child takes the place of its parent when it is fitter (paper, supplement 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from evolution.individual import Individual, State, pack, unpack


@dataclass
class HillClimber:
    """A population of one.

    Attributes:
        seed: Unused: hill climbing makes no random choices of its own.
        run: Number of this replicate.
        population: The fittest individual so far.
    """

    name: ClassVar[str] = "hill-climber"

    seed: int = 0
    run: int = 0
    population: list[Individual] = field(default_factory=list, init=False, repr=False)

    def ask(self) -> list[Individual | None]:
        """The founder, and then the fittest individual again and again."""
        return [*self.population] or [None]

    def tell(self, children: list[Individual]) -> None:
        """Keep the child if it is fitter."""
        [child] = children
        if not self.population or child.fitness > self.population[0].fitness:
            self.population = [child]

    def state(self) -> State:
        """The fittest individual."""
        return pack("population", self.population)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        self.population = unpack("population", state)
