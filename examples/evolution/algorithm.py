"""What an evolutionary algorithm is to those that run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

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


@runtime_checkable
class AsksAhead(Protocol):
    """An algorithm that need not wait for one child before it chooses the parent of the next (see lag)."""

    def ask_ahead(self, children: int) -> Individual:
        """Whom to mutate when so many children are in the making; not before the founders are told.

        The children are told one at a time, in the order in which they were asked for.
        """


@runtime_checkable
class ScalesDivergence(Protocol):
    """An algorithm that adapts how far the behaviour of its children may be from their parents'."""

    def ask_scale(self, children: int) -> float:
        """What to multiply the operator's divergence by for the child after the next ``children``."""
