"""What an evolutionary algorithm is to those that run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from evolution.individual import Individual, State


class Algorithm(Protocol):
    """One replicate of an evolutionary algorithm. It knows no network, no domain and no machine.

        parents = algorithm.ask()
        algorithm.tell(children)  # one evaluated child of each parent, in their order

    An algorithm is a dataclass: the fields of its constructor are its settings, which go into the record of
    every result, and ``seed`` and ``run``, which decide all its random choices. To add one, write a file like
    ``algorithms/hill_climber.py`` and name it in ``algorithms/__init__.py``.
    """

    name: ClassVar[str]
    """As on the command line."""

    seed: int
    run: int

    @property
    def population(self) -> list[Individual]:
        """The individuals that may yet have offspring; empty before the founders are told."""

    def ask(self) -> list[Individual | None]:
        """Whom to mutate next; None stands for a founder, a new random genome.

        Asked again before a tell, it answers the same.
        """

    def tell(self, children: list[Individual]) -> None:
        """Take in the evaluated children of the parents asked for last, in the same order."""

    def state(self) -> State:
        """Everything that ``ask`` and ``tell`` have changed, as arrays."""

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state that an algorithm of the same settings gave."""
