"""Experiences as callers hold them, read into tensors.

    (I, ...)                             shared by all parents: an array, or a dict or tuple of arrays
    (N, I, ...) with ``per_parent``      one set for each parent
    a list of arrays, dicts or tuples    single experiences, sequences of different length for example
    such a list of sets, ``per_parent``  one set for each parent, of as many experiences as it has

A packed or a nested tensor counts as the list of its sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, unpack_sequence

from safe_mutation.arrays import is_array, read_array
from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves, map_together


def read_experiences(experiences: Any, parents: Tensor, per_parent: bool) -> Experiences | ExperienceSets:
    """Turn a caller's experiences into tensors on the parents' device, and check their shape.

    Floating-point values take the parents' dtype; integers and booleans stay as they are.

    Args:
        experiences: See the top of this file.
        parents: Genomes (N, P).
        per_parent: Whether every parent brings a set of its own; shapes cannot tell.

    Returns:
        Tensors (I, ...), or (N, I, ...) with ``per_parent``. Where they would fill no rectangle,
        ExperienceSets: one set, or N.

    Raises:
        ValueError: If there is no experience, or arrays disagree about their number.
        TypeError: If they are no arrays of numbers.
    """
    if per_parent and is_list(experiences):
        sets = [_read_set(one, parents) for one in _as_list(experiences)]
        if len(sets) != len(parents):
            raise ValueError(
                f"expected a list with one set of experiences for each of {len(parents)} parents, "
                f"got {len(sets)}"
            )
        return _together(sets)
    if not is_list(experiences):
        return _read_rectangle(experiences, parents, "(N, I, ...)" if per_parent else "(I, ...)")
    only = _read_set(experiences, parents)
    return only.stacks[0] if len(only.stacks) == 1 else ExperienceSets(only.stacks, [only.numbers()])


class _Set(NamedTuple):
    """Experiences of one parent, stacked with those of the same shape: place r of stack k is number i."""

    stacks: list[Experiences]
    kinds: np.ndarray  # k (I,)
    places: np.ndarray  # r (I,)

    def numbers(self, starts: list[int] | None = None) -> np.ndarray:
        """The numbers of the experiences, counted through stacks that start at ``starts``."""
        if starts is None:
            starts = np.cumsum([0, *(count(stack) for stack in self.stacks)]).tolist()
        return np.array(starts)[self.kinds] + self.places


def _read_set(experiences: Any, parents: Tensor) -> _Set:
    if not is_list(experiences):
        stack = _read_rectangle(experiences, parents, "(I, ...)")
        number = count(stack)
        return _Set([stack], np.zeros(number, int), np.arange(number))
    given = _as_list(experiences)
    for kind, joined in ((np.ndarray, np.stack), (Tensor, torch.stack)):  # much faster than one by one
        if all(isinstance(one, kind) and one.shape == given[0].shape and _can_stack(one) for one in given):
            return _read_set(joined(given), parents)
    piles = _Piles()
    kinds_and_places = [piles.add(map_leaves(lambda leaf: _read_leaf(leaf, parents), one)) for one in given]
    kinds, places = np.array(kinds_and_places).T
    return _Set([map_together(torch.stack, pile) for pile in piles.members], kinds, places)


def _can_stack(array: np.ndarray | Tensor) -> bool:
    """Whether a stack of such arrays tells what there is to refuse: masks get lost in one."""
    return array.layout == torch.strided if isinstance(array, Tensor) else not np.ma.isMaskedArray(array)


def _read_rectangle(experiences: Any, parents: Tensor, layout: str) -> Experiences:
    """An array, or a dict or tuple of arrays that share the first axis (I, ...), or two (N, I, ...)."""
    tensors = map_leaves(lambda leaf: _read_leaf(leaf, parents), experiences)
    found = leaves(tensors)
    if not found:
        raise ValueError(f"expected experiences of shape {layout}, got an empty {type(experiences).__name__}")
    leading = layout.count(",")
    shapes = [tuple(leaf.shape) for leaf in found]
    if any(len(shape) < leading for shape in shapes) or len({shape[:leading] for shape in shapes}) > 1:
        raise ValueError(f"expected experiences of shape {layout} with the same I, got {_describe(shapes)}")
    if leading == 2 and shapes[0][0] != len(parents):
        raise ValueError(f"expected experiences of shape ({len(parents)}, I, ...), got {_describe(shapes)}")
    if shapes[0][leading - 1] == 0:
        raise ValueError(f"expected at least one experience, got experiences of shape {_describe(shapes)}")
    return tensors


def _together(sets: list[_Set]) -> Experiences | ExperienceSets:
    """The sets of all parents: (N, I, ...) where they are as large and of one shape."""
    if all(len(one.stacks) == 1 for one in sets):
        stacks = [one.stacks[0] for one in sets]
        if len({_signature(stack, 0) for stack in stacks}) == 1:
            return map_together(torch.stack, stacks)
    piles = _Piles(stacked=True)
    where = [[piles.add(stack) for stack in one.stacks] for one in sets]
    starts = np.cumsum([0, *piles.heights]).tolist()
    numbers = [
        one.numbers([starts[kind] + before for kind, before in own])
        for one, own in zip(sets, where, strict=True)
    ]
    return ExperienceSets([map_together(torch.cat, pile) for pile in piles.members], numbers)


class _Piles:
    """Experiences of one kind, sorted by their shapes.

    Args:
        stacked: Whether what comes are stacks (M, ...) of experiences rather than single ones.
    """

    def __init__(self, stacked: bool = False) -> None:
        self.members: list[list[Experiences]] = []
        self.heights: list[int] = []
        self._stacked = stacked
        self._kinds: dict[Any, int] = {}

    def add(self, experiences: Experiences) -> tuple[int, int]:
        """Put them on the pile of their shapes; returns its number and what lay there before.

        Raises:
            ValueError: If they are no dict or tuple like those before.
        """
        shapes = _signature(experiences, 1 if self._stacked else 0)
        if shapes not in self._kinds:
            if self.members and _signature(experiences) != _signature(self.members[0][0]):
                raise ValueError(
                    "expected a list of experiences that have the same keys and parts, got "
                    f"{_signature(self.members[0][0])} and {_signature(experiences)}"
                )
            self._kinds[shapes] = len(self.members)
            self.members.append([])
            self.heights.append(0)
        kind = self._kinds[shapes]
        before = self.heights[kind]
        self.members[kind].append(experiences)
        self.heights[kind] += count(experiences) if self._stacked else 1
        return kind, before


def is_list(experiences: Any) -> bool:
    """Whether experiences (or parents) are listed one by one, rather than the numbers of an array."""
    if isinstance(experiences, PackedSequence) or (isinstance(experiences, Tensor) and experiences.is_nested):
        return True
    return isinstance(experiences, list) and any(map(_holds_arrays, experiences))


def _as_list(experiences: Any) -> list[Any]:
    if isinstance(experiences, PackedSequence):
        return unpack_sequence(experiences)
    return list(experiences.unbind()) if isinstance(experiences, Tensor) else experiences


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_arrays, value))
    return is_array(value) or isinstance(value, Mapping)


def _read_leaf(leaf: Any, parents: Tensor) -> Tensor:
    if isinstance(leaf, list) and any(map(_holds_arrays, leaf)):
        parts = [_read_leaf(one, parents) for one in leaf]
        if len({part.shape for part in parts}) > 1:
            raise ValueError(
                "expected arrays of equal shape inside a dict or tuple of experiences, got "
                f"{_describe([tuple(part.shape) for part in parts])}: list dicts or tuples, one for "
                "each experience (or for each parent, with per_parent=True)"
            )
        return torch.stack(parts)
    tensor = read_array(leaf, "experiences")
    dtype = parents.dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.to(device=parents.device, dtype=dtype)


def _signature(experiences: Experiences, skip: int | None = None) -> Any:
    """The keys and places of a structure, with the shapes of its arrays but for ``skip`` leading axes."""
    if isinstance(experiences, dict):
        return tuple(sorted((repr(key), _signature(value, skip)) for key, value in experiences.items()))
    if isinstance(experiences, tuple):
        return tuple(_signature(value, skip) for value in experiences)
    return "array" if skip is None else tuple(experiences.shape[skip:])


def _describe(shapes: list[tuple[int, ...]]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else ", ".join(map(str, shapes))
