"""A call of a crossover as it is computed: pairs of parents, and what each of them has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from safe_mutation.drawing import expand_to_parents, subsample
from safe_mutation.equal_experiences import counted_once
from safe_mutation.experiences import Experiences
from safe_mutation.genomes import Genomes
from safe_mutation.noise import Generator, Streams, read_generator
from safe_mutation.reading import read_experiences


@dataclass(frozen=True)
class Pairs:
    """N pairs of parents, read and checked.

    Attributes:
        genomes: The first parents, with the way back to the caller's kind of array.
        others: The second parents (N, P).
        inputs: Experiences of the first parents (N, I, ...).
        other_inputs: Experiences of the second parents (N, I', ...).
        streams: Random numbers of the call.
    """

    genomes: Genomes
    others: Tensor
    inputs: Experiences
    other_inputs: Experiences
    streams: Streams

    @property
    def params(self) -> Tensor:
        """The first parents (N, P)."""
        return self.genomes.params


def read_pairs(
    network: Any,
    parents: Any,
    others: Any,
    experiences: Any,
    per_parent: bool,
    generator: Generator | Sequence[Generator],
    max_experiences: int | None,
) -> Pairs:
    """Read a call of a crossover.

    Args:
        network: Whose weights the parents are.
        parents: First parents (N, P), or one (P,).
        others: Second parents, as many.
        experiences: A pair: what the first parents have seen, and what the second have.
        per_parent: Whether every parent brings its own experiences.
        generator: A seed or generator, or one for each pair.
        max_experiences: Use at most so many of each parent.

    Raises:
        ValueError: If the parents are not of one network, or the experiences are no pair of experiences.
        TypeError: If they are no arrays of numbers.
    """
    length = getattr(network, "num_params", None)
    first, second = Genomes(parents, length), Genomes(others, length)
    if (first.params.shape, first.single) != (second.params.shape, second.single):
        shapes = [tuple((one.params[0] if one.single else one.params).shape) for one in (first, second)]
        raise ValueError(
            "expected two parents of the same network, or equally many of both, got genomes of shape "
            f"{shapes[0]} and {shapes[1]}"
        )
    if not isinstance(experiences, (tuple, list)) or len(experiences) != 2:
        raise ValueError(
            "expected experiences as a pair, those of the first parents and those of the second, got "
            + (
                f"{len(experiences)} of them"
                if isinstance(experiences, (tuple, list))
                else type(experiences).__name__
            )
        )
    if per_parent and first.single:
        raise ValueError("expected parents of shape (N, P) with per_parent=True, got a single pair")
    number = len(first.params)
    streams = read_generator(generator, number)

    def read(own: Any) -> Experiences:
        inputs = read_experiences(own, first.params, per_parent)
        inputs, each = subsample(inputs, max_experiences, per_parent, streams, number)
        return expand_to_parents(counted_once(inputs, each), number, each)

    others_here = second.params.to(first.params)
    return Pairs(first, others_here, read(experiences[0]), read(experiences[1]), streams)
