"""How much is computed at once: enough to make a call worth its price, no more than memory close by holds."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, leaves

CACHED = 2**21  # numbers that a processor's caches hold (8 MB in single precision); more only costs time
ON_GPU = 2**27  # numbers that keep a GPU busy (half a GB)
AFFORDABLE = 2**24  # numbers (64 MB) that may be held where few items at once are slow
ACTIVATIONS = 256  # numbers that the layers make of one experience, which cannot be seen from outside


def at_once(each: int, on_processor: bool, least: int = 1) -> int:
    """How many items to compute at once.

    Args:
        each: How many numbers one item takes.
        on_processor: Whether they lie in a processor's memory, not in a GPU's.
        least: So many at least, unless that would take too much memory.
    """
    if not on_processor:
        return max(1, ON_GPU // each)
    return max(1, min(AFFORDABLE // each, max(least, CACHED // each)))


def parents_at_once(
    params: Tensor, inputs: Experiences, chunk_size: int | None, looped: bool
) -> Iterator[slice]:
    """The parents in groups of ``chunk_size``, or of as many as one pass has room for.

    Args:
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...) or ExperienceSets.
        chunk_size: Parents in a group, if the user chose it.
        looped: Whether the network computes them one after the other anyway.
    """
    parents, length = params.shape
    if chunk_size is None:
        chunk_size = 1 if looped else at_once(length + _numbers(inputs), params.is_cpu)
    for start in range(0, parents, chunk_size):
        yield slice(start, start + chunk_size)


def gradients_at_once(params: Tensor, inputs: Experiences) -> int:
    """How many gradients of one experience each to hold at once: what caches hold, and 8 if affordable."""
    # A gradient needs room for itself and its absolute value, and for what the layers make of the experience.
    each = 2 * params.shape[1] + 8 * sum(leaf.shape[2:].numel() for leaf in leaves(inputs))
    return at_once(each, params.is_cpu, least=8)


def _numbers(inputs: Experiences) -> int:
    """Numbers that a parent's experiences take, with what the layers make of them."""
    if isinstance(inputs, ExperienceSets):
        most, numbers = inputs.largest
        return most * (numbers + ACTIVATIONS)
    return sum(leaf.shape[1:].numel() + ACTIVATIONS * leaf.shape[1] for leaf in leaves(inputs))
