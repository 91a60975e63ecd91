"""The recorded inputs that sensitivities are measured on.

Experiences are one array, or a dict or tuple of arrays (for dict observations), whose leading axis
counts experiences: (I, ...), or (N, I, ...) when every parent brings its own. For a recurrent
network one experience is a whole input sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.noise import Streams, choose

Experiences = Any
"""An array or tensor, or a dict or tuple of them, that share their leading axis (or two axes)."""


def map_leaves(function: Callable[[Any], Any], experiences: Experiences) -> Experiences:
    """Apply a function to every array of a (possibly nested) dict or tuple."""
    if isinstance(experiences, dict):
        return {key: map_leaves(function, value) for key, value in experiences.items()}
    if isinstance(experiences, tuple):
        mapped = [map_leaves(function, value) for value in experiences]
        return type(experiences)(*mapped) if hasattr(experiences, "_fields") else tuple(mapped)
    return function(experiences)


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


def read_experiences(experiences: Experiences, parents: Tensor, per_parent: bool) -> Experiences:
    """Turn a caller's experiences into tensors on the parents' device, and check their shape.

    Floating-point values take the parents' dtype; integers and booleans stay as they are.

    Args:
        experiences: (I, ...) shared by all parents, or (N, I, ...) with ``per_parent``.
        parents: Genomes (N, P).
        per_parent: Whether the leading axis counts parents.

    Raises:
        ValueError: If there is no experience, or leaves disagree about their number.
        TypeError: If they are no arrays of numbers.
    """
    tensors = map_leaves(lambda leaf: _as_tensor(leaf, parents), experiences)
    found = leaves(tensors)
    layout = "(N, I, ...)" if per_parent else "(I, ...)"
    if not found:
        raise ValueError(f"expected experiences of shape {layout}, got an empty {type(experiences).__name__}")
    leading = 2 if per_parent else 1
    shapes = [tuple(leaf.shape) for leaf in found]
    if any(len(shape) < leading for shape in shapes) or len({shape[:leading] for shape in shapes}) > 1:
        raise ValueError(f"expected experiences of shape {layout} with the same I, got {_describe(shapes)}")
    if per_parent and shapes[0][0] != len(parents):
        raise ValueError(f"expected experiences of shape ({len(parents)}, I, ...), got {_describe(shapes)}")
    if shapes[0][leading - 1] == 0:
        raise ValueError(f"expected at least one experience, got experiences of shape {_describe(shapes)}")
    return tensors


def subsample(
    experiences: Experiences,
    maximum: int | None,
    per_parent: bool,
    streams: Streams,
    parents: int,
) -> tuple[Experiences, bool]:
    """Draw at most ``maximum`` experiences per parent, without replacement.

    With one random stream, parents that share their experiences also share the draw.

    Returns:
        The experiences, and whether they now have one set per parent.
    """
    total = count(experiences, axis=1 if per_parent else 0)
    if maximum is None or total <= maximum:
        return experiences, per_parent
    sources = streams.experiences
    if not per_parent and not isinstance(sources, list):
        chosen = choose(sources, total, maximum)
        return map_leaves(lambda leaf: leaf[chosen.to(leaf.device)], experiences), False
    each = sources if isinstance(sources, list) else [sources] * parents
    rows = torch.stack([choose(source, total, maximum).cpu() for source in each])
    if not per_parent:
        return map_leaves(lambda leaf: leaf[rows.to(leaf.device)], experiences), True
    lane = torch.arange(parents)[:, None]
    return map_leaves(lambda leaf: leaf[lane.to(leaf.device), rows.to(leaf.device)], experiences), True


def expand_to_parents(experiences: Experiences, parents: int, per_parent: bool) -> Experiences:
    """Give shared experiences (I, ...) the leading axis of (N, I, ...), without copying."""
    if per_parent:
        return experiences
    return map_leaves(lambda leaf: leaf.expand(parents, *leaf.shape), experiences)


def _as_tensor(leaf: Any, parents: Tensor) -> Tensor:
    if isinstance(leaf, Tensor):
        tensor = leaf.detach()
        if tensor.is_inference():  # cannot take part in a gradient
            tensor = tensor.clone()
    else:
        try:
            array = np.asarray(leaf)
        except ValueError as error:
            raise ValueError(
                f"expected experiences as an array, with as many for every parent, got a "
                f"{type(leaf).__name__} of unequal parts: {error}"
            ) from error
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"expected experiences of a numeric dtype, got {array.dtype} ({type(leaf).__name__})"
            )
        # A read-only array is copied: torch warns about sharing memory it could write to.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    dtype = parents.dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.to(device=parents.device, dtype=dtype)


def _describe(shapes: list[tuple[int, ...]]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else ", ".join(map(str, shapes))
