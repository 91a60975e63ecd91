"""Equal experiences computed once: an agent that looks at the same picture often needs no second look.

Outputs for an experience depend on no other, so that in sums over experiences one of several equal ones
may stand for all, with their number as its weight.
"""

from __future__ import annotations

import numpy as np
import torch

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves

# Numbers in an experience from which looking for equal ones is cheap beside computing them: a small picture.
PICTURE = 1024

# Largest share of different experiences for which it pays to leave out the others.
WORTH_IT = 0.8


def counted_once(experiences: Experiences | ExperienceSets, per_parent: bool) -> Experiences | ExperienceSets:
    """Experiences with equal ones counted instead of repeated, where that saves time.

    Args:
        experiences: (I, ...), or (N, I, ...) with ``per_parent``; or ExperienceSets.
        per_parent: Whether every parent has a set of its own.
    """
    if isinstance(experiences, ExperienceSets):
        stacks, sets = experiences.stacks, experiences.sets
    elif not _is_picture(experiences, 2 if per_parent else 1):
        return experiences
    elif per_parent:
        parents, total = leaves(experiences)[0].shape[:2]
        stacks = [map_leaves(lambda leaf: leaf.flatten(0, 1), experiences)]
        sets = list(np.arange(parents * total).reshape(parents, total))
    else:
        stacks, sets = [experiences], [np.arange(count(experiences))]
    if max(map(len, sets)) < 2 or not all(_is_picture(stack, 1) for stack in stacks):
        return experiences
    starts = np.cumsum([0, *map(count, stacks)])[:-1]
    first = np.concatenate([n + _first_equals(stack) for n, stack in zip(starts, stacks, strict=True)])
    merged = [_merged(numbers, first) for numbers in sets]
    changed = any(one is not numbers for one, numbers in zip(merged, sets, strict=True))
    return ExperienceSets(stacks, merged) if changed else experiences


def _merged(numbers: np.ndarray, first: np.ndarray) -> np.ndarray:
    """A parent's set with the first of its equal experiences for all of them, if that pays.

    What it becomes depends on no other parent.
    """
    _, index, inverse = np.unique(first[numbers], return_index=True, return_inverse=True)
    return numbers[index[inverse]] if len(index) <= WORTH_IT * len(numbers) else numbers


def _is_picture(experiences: Experiences, leading: int) -> bool:
    """Whether those behind so many leading axes are large enough to be looked at."""
    found = leaves(experiences)
    size = sum(leaf.shape[leading:].numel() for leaf in found)
    return size >= PICTURE and all(leaf.is_cpu for leaf in found)


def _first_equals(stack: Experiences) -> np.ndarray:
    """For each experience of a stack (M, ...) the number of the first that has the same bits."""
    filled = [leaf.reshape(len(leaf), -1).contiguous() for leaf in leaves(stack) if leaf.numel()]
    rows = [leaf.view(torch.uint8).numpy() for leaf in filled]
    keys = np.sum([_key(row) for row in rows], axis=0)
    seen: dict[int, list[int]] = {}
    first = np.arange(count(stack))
    for i, key in enumerate(keys.tolist()):
        alike = seen.setdefault(key, [])
        equal = next((j for j in alike if all(np.array_equal(row[i], row[j]) for row in rows)), None)
        if equal is None:
            alike.append(i)
        else:
            first[i] = equal
    return first


def _key(rows: np.ndarray) -> np.ndarray:
    """A number for each row of bytes, mostly another one if the bytes are others."""
    words = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))) if rows.shape[1] % 8 else rows
    words = words.view(np.uint64)
    return words @ (np.arange(1, words.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
