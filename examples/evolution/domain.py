"""What a task to evolve for is to those that evolve."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from evolution.individual import Individual


class Network(Protocol):
    """Outputs (N, I, K) of genomes (N, P) for inputs (N, I, ...), and how a search starts.

    Its ``repr`` tells networks apart: it goes into the record of every result.
    """

    num_params: int

    def __call__(self, params: Any, inputs: Any) -> Any:
        """Compute outputs, differentiable in params."""

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32."""


@dataclass
class Evaluation:
    """What came of evaluating N genomes.

    Attributes:
        fitness: Fitness (N,), float64; NaN counts as the worst, as does what a genome with nan or inf does.
        solved: Whether each genome solved the task (N,), bool.
        experiences: Inputs (I, ...) that each network met, an array or a dict of arrays for each genome; an
            array (N, I, ...) where all have equally many.
        behavior: What each agent did, one array for each genome.
    """

    fitness: np.ndarray
    solved: np.ndarray
    experiences: Any
    behavior: Any


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """What came of all genomes, from what came of some at a time; experiences are arrays (N, I, ...)."""
    if len(parts) == 1:
        return parts[0]
    columns = ("fitness", "solved", "experiences", "behavior")
    return Evaluation(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


@dataclass(frozen=True)
class Domain:
    """A task to evolve for: a frozen dataclass whose fields are all the numbers that decide an outcome.

    To add a domain, write a file like ``domains/recurrent_parity.py`` and name it in ``domains/__init__.py``.
    ``evaluate`` may be called by several threads at once.

    Attributes:
        experiences_kept: Experiences kept of each individual, drawn without replacement when it is evaluated.
    """

    name: ClassVar[str]
    """As on the command line."""

    on_devices: ClassVar[bool] = False
    """Whether ``evaluate`` takes genomes as a tensor, too, and computes the networks where it is."""

    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Other forms of the task by name: the fields that differ."""

    experiences_kept: int = 100

    @property
    def network(self) -> Network:
        """The network that evolves."""
        raise NotImplementedError

    def evaluate(self, genomes: Any) -> Evaluation:
        """Evaluate genomes (N, P), each on its own."""
        raise NotImplementedError

    def preference(self, solution: Individual, seed: int) -> float:
        """Among several solutions of a search the one with the largest number is shown, or the earliest."""
        return 0.0

    def picture(self, path: Path, champion: Individual, seed: int) -> str:
        """Draw what a champion does into a PNG file, and say in one line what is to be seen.

        Nothing is drawn, and nothing said, where a domain has no picture.
        """
        return ""

    def replay(self, genome: np.ndarray) -> Iterator[np.ndarray]:
        """Pictures (height, width, 3) of an episode of a genome (P,): what it sees, beside where it is.

        Raises:
            ValueError: If there is nothing to see in the domain.
        """
        raise ValueError(f"expected a domain with a place to look at, got {self.name}")

    def variant(self, name: str) -> Self:
        """Another form of the task.

        Raises:
            ValueError: If the domain has none of that name; the message lists those it has.
        """
        if name not in self.variants:
            raise ValueError(f"expected a variant of {self.name} out of {list(self.variants)}, got {name!r}")
        return dataclasses.replace(self, **self.variants[name])
