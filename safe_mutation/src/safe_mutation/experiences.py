"""The recorded inputs that sensitivities are measured on, as the operators compute with them.

Experiences are one tensor, or a dict or tuple of tensors (for dict observations), whose leading axes
count parents and experiences: (N, I, ...). For a recurrent network one experience is a whole input
sequence. Where they do not fill such a rectangle they are ``ExperienceSets``. How callers may give
them says ``reading.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

Experiences = Any
"""An array or tensor, or a dict or tuple of them, that share their leading axis (or two axes)."""


def map_leaves(function: Callable[[Any], Any], experiences: Experiences) -> Experiences:
    """Apply a function to every array of a (possibly nested) dict or tuple; any mapping becomes a dict."""
    if isinstance(experiences, Tensor):  # by far the most frequent, in every pass of a small network
        return function(experiences)
    return map_together(lambda parts: function(parts[0]), [experiences])


def map_together(function: Callable[[list[Any]], Any], all_experiences: Sequence[Experiences]) -> Experiences:
    """Apply a function to the arrays that have the same place in several structures of one kind."""
    first = all_experiences[0]
    if isinstance(first, Mapping):
        return {key: map_together(function, [one[key] for one in all_experiences]) for key in first}
    if isinstance(first, tuple):
        mapped = [map_together(function, parts) for parts in zip(*all_experiences, strict=True)]
        return type(first)(*mapped) if hasattr(first, "_fields") else tuple(mapped)
    return function(list(all_experiences))


def leaves(experiences: Experiences) -> list[Any]:
    """Every array of a (possibly nested) dict or tuple."""
    found: list[Any] = []
    map_leaves(found.append, experiences)
    return found


def count(experiences: Experiences, axis: int = 0) -> int:
    """Length of a leading axis."""
    return int(leaves(experiences)[0].shape[axis])


def take(experiences: Experiences, index: Any) -> Experiences:
    """Index every array."""
    return map_leaves(lambda leaf: leaf[index], experiences)
