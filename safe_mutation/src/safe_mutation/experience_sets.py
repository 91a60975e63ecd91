"""Experiences that do not fill a rectangle (N, I, ...).

Parents may bring different numbers of experiences, experiences may be sequences of different length,
and some may be equal to others. Every experience is kept once, stacked with those of its shape, and
every parent has a list of the ones that are its own. For a network they become rectangles: one for
each shape, with weights that say how often an experience counts. No sequence is ever padded, so that
the outputs are exact for any network, a bidirectional one too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, count, leaves, map_leaves, take


@contextmanager
def naming_experiences(*inputs: Experiences | ExperienceSets | None) -> Iterator[None]:
    """Add to an error about numbers that are not finite that some in the experiences are not either.

    They are not refused before: a network may know what to make of them.
    """
    try:
        yield
    except ValueError as error:
        stacks = [stack for one in inputs for stack in getattr(one, "stacks", [one]) if one is not None]
        found = [leaf for stack in stacks for leaf in leaves(stack) if leaf.is_floating_point()]
        if "nan or inf" not in str(error) or all(torch.isfinite(leaf).all() for leaf in found):
            raise
        raise ValueError(f"{error}; so are some in the experiences") from error


class Rectangle(NamedTuple):
    """Experiences of one shape, of the parents that have any.

    Attributes:
        lanes: Which parents these are (L,), or None for all of them.
        inputs: Their experiences (L, I, ...); one with fewer than I has its first repeated at the end.
        weights: How often each experience counts (L, I), 0 for those repeated ones; None if each counts once.
    """

    lanes: Tensor | None
    inputs: Experiences
    weights: Tensor | None


class ExperienceSets:
    """Which experiences every parent has.

    Args:
        stacks: Experiences (M, ...) of one shape each.
        sets: For every parent the numbers of its experiences, counted through all stacks. A number that
            occurs twice counts twice.
    """

    def __init__(self, stacks: Sequence[Experiences], sets: Sequence[np.ndarray]) -> None:
        self.stacks, self.sets = list(stacks), list(sets)

    def __len__(self) -> int:
        return len(self.sets)

    def __getitem__(self, parents: slice | Tensor) -> ExperienceSets:
        """The sets of some parents."""
        if isinstance(parents, slice):
            chosen = self.sets[parents]
            return self if len(chosen) == len(self.sets) else ExperienceSets(self.stacks, chosen)
        return ExperienceSets(self.stacks, [self.sets[n] for n in parents.tolist()])

    def simplest(self) -> Experiences | ExperienceSets:
        """The tensors (N, I, ...) if the experiences fill a rectangle and each counts once, else the sets."""
        starts = np.cumsum([0, *map(count, self.stacks)])
        if len(set(map(len, self.sets))) > 1:
            return self
        numbers = np.stack(self.sets)
        kinds = np.unique(np.searchsorted(starts, numbers, side="right"))
        if len(kinds) > 1 or any(len(np.unique(own)) < len(own) for own in numbers):
            return self
        return self.rectangles[0].inputs

    @property
    def largest(self) -> tuple[int, int]:
        """The most experiences that a parent has, and the most numbers in one of them."""
        numbers = max(sum(leaf.shape[1:].numel() for leaf in leaves(stack)) for stack in self.stacks)
        return max(map(len, self.sets)), numbers

    @cached_property
    def rectangles(self) -> list[Rectangle]:
        """The experiences as a network takes them, one rectangle for each shape."""
        starts = np.cumsum([0, *(count(stack) for stack in self.stacks)])
        split: dict[int, list[tuple[int, np.ndarray]]] = {}  # a set that parents share is split once
        owners: dict[int, tuple[list[int], list[np.ndarray]]] = {}
        for n, numbers in enumerate(self.sets):
            if id(numbers) not in split:
                split[id(numbers)] = _split(numbers, starts)
            for kind, rows in split[id(numbers)]:
                lanes, own = owners.setdefault(kind, ([], []))
                lanes.append(n)
                own.append(rows)
        ordered = sorted(owners, key=self._shapes)  # for an order that depends on no other parent
        return [self._rectangle(self.stacks[kind], *owners[kind]) for kind in ordered]

    def _shapes(self, kind: int) -> list[tuple[int, ...]]:
        return [tuple(leaf.shape[1:]) for leaf in leaves(self.stacks[kind])]

    def _rectangle(self, stack: Experiences, lanes: list[int], own: list[np.ndarray]) -> Rectangle:
        device = leaves(stack)[0].device
        shared = all(rows is own[0] for rows in own)
        counted = [_counted(rows) for rows in (own[:1] if shared else own)]
        width = max(len(rows) for rows, _ in counted)
        index, weights = np.empty((len(counted), width), int), np.zeros((len(counted), width), int)
        for lane, (rows, times) in enumerate(counted):
            index[lane] = rows[0]
            index[lane, : len(rows)], weights[lane, : len(rows)] = rows, times
        inputs = take(stack, torch.from_numpy(index).to(device))
        counts = None if (weights == 1).all() else torch.from_numpy(weights).to(device)
        if shared:  # without a copy for each
            inputs = map_leaves(lambda leaf: leaf.expand(len(own), *leaf.shape[1:]), inputs)
            counts = None if counts is None else counts.expand(len(own), width)
        everyone = len(lanes) == len(self.sets)
        return Rectangle(None if everyone else torch.tensor(lanes, device=device), inputs, counts)


def _split(numbers: np.ndarray, starts: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """For each stack that has any of the experiences its number and their places in it."""
    if len(starts) == 2:
        return [(0, numbers)]
    kinds = np.searchsorted(starts, numbers, side="right") - 1
    return [(k, numbers[kinds == k] - starts[k]) for k in np.unique(kinds).tolist()]


def _counted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | int]:
    """Each row once, in the order of their first occurrence, and how often it occurs."""
    if (rows[1:] > rows[:-1]).all():
        return rows, 1
    _, index, times = np.unique(rows, return_index=True, return_counts=True)
    if len(index) == len(rows):
        return rows, 1
    order = np.argsort(index)
    return rows[index[order]], times[order]


def in_double_precision(inputs: Experiences | ExperienceSets) -> Any:
    """The same experiences; integers stay integers."""
    if isinstance(inputs, ExperienceSets):
        return ExperienceSets([in_double_precision(stack) for stack in inputs.stacks], inputs.sets)
    return map_leaves(lambda x: x.double() if x.is_floating_point() else x, inputs)
