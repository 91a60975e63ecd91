"""One run of an algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evolution.algorithm import Algorithm, AsksAhead, ScalesDivergence
from evolution.breed import Birth
from evolution.individual import Individual, State, pack, part, unpack


@dataclass
class Replicate:
    """One run of an algorithm and what came of it so far.

    Attributes:
        algorithm: The algorithm.
        max_evaluations: Its budget, the founders included.
        stop_when_solved: Whether its first solution is its end.
        evaluations: Children told so far.
        solved_at: The evaluation that solved the task first, counted from 1, or None.
        champion: The best individual so far.
    """

    algorithm: Algorithm
    max_evaluations: int
    stop_when_solved: bool = True
    evaluations: int = 0
    solved_at: int | None = None
    champion: Individual | None = None

    def __post_init__(self) -> None:
        # Once: to look for the methods of a protocol takes longer than a tournament.
        self._asks_ahead = isinstance(self.algorithm, AsksAhead)
        self._scales = isinstance(self.algorithm, ScalesDivergence)

    @property
    def run(self) -> int:
        """Its number."""
        return self.algorithm.run

    @property
    def active(self) -> bool:
        """Whether it still searches."""
        over = self.stop_when_solved and self.solved_at is not None
        return not over and self.evaluations < self.max_evaluations

    def births(self, ahead: int = 0) -> list[Birth]:
        """What to breed next.

        Args:
            ahead: Children in the making, asked for and not yet told.

        Returns:
            Nothing, if it has to wait for those.
        """
        algorithm: Any = self.algorithm
        if ahead == 0:
            parents = algorithm.ask()
        elif self._asks_ahead and algorithm.population:
            parents = [algorithm.ask_ahead(ahead)]
        else:
            return []
        seed, run, first = algorithm.seed, algorithm.run, self.evaluations + ahead
        scales = [1.0] * len(parents)
        if self._scales and algorithm.population:
            scales = [algorithm.ask_scale(ahead + n) for n in range(len(parents))]
        return [
            Birth(parent, seed, run, first + n, scale)
            for n, (parent, scale) in enumerate(zip(parents, scales, strict=True))
        ]

    def tell_guessed(
        self, births: list[Birth], parents: list[Individual | None], children: list[Individual]
    ) -> int:
        """Tell children one by one, up to the first that turns out to be bred otherwise.

        Args:
            births: On the guess that ``births`` would answer so, one after the other.
            parents: The parents themselves; a birth may have a copy.
            children: What came of them.

        Returns:
            How many were told.
        """
        for told, (birth, parent, child) in enumerate(zip(births, parents, children, strict=True)):
            if not self.active:
                return told
            [right] = self.births()
            if right.parent is not parent or right.scale != birth.scale:
                return told
            self.tell([child])
        return len(children)

    def tell(self, children: list[Individual]) -> None:
        """Count the children up to the one that solves the task, and hand all of them on."""
        self.algorithm.tell(children)
        for child in children:
            if not self.active:
                break
            self.evaluations += 1
            if child.better_than(self.champion):
                self.champion = replace(child)  # what is later kept with a parent is not a champion's
            if child.solved and self.solved_at is None:
                self.solved_at = self.evaluations

    def state(self) -> State:
        """Everything that changes, as arrays; a finished replicate needs no population any more."""
        champion = [] if self.champion is None else [self.champion]
        counts = {"evaluations": np.array(self.evaluations), "solved_at": np.array(self.solved_at or 0)}
        algorithm = self.algorithm.state() if self.active else {}
        # Written while the search goes on and changes some in place, though never those of an individual.
        kept = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in algorithm.items()}
        return counts | pack("champion", champion) | {f"algorithm.{name}": v for name, v in kept.items()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        self.evaluations = int(state["evaluations"])
        self.solved_at = int(state["solved_at"]) or None
        self.champion = next(iter(unpack("champion", state)), None)
        if self.active:
            self.algorithm.load(part("algorithm", state))
