"""Which of the experiences a call uses, and giving every parent its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves
from safe_mutation.noise import Streams, choose, read_generator
from safe_mutation.reading import is_list
from safe_mutation.torch_internals import is_transformed


def drawn_before_reading(experiences: Any, maximum: int | None, generator: Any, parents: int) -> Any:
    """Shared experiences (I, ...) with only those rows that ``subsample`` would draw, as they were given.

    Of a replay buffer, which may be a file mapped into memory, nothing else need be read. What is no array
    or is refused later is given back whole. The generator stays as it was.
    """
    found = [] if is_list(experiences) else leaves(experiences)
    lengths = {leaf.shape[0] if _has_rows(leaf) else None for leaf in found}
    if maximum is None or len(lengths) != 1 or (total := lengths.pop()) is None or total <= maximum:
        return experiences
    source = read_generator(generator, parents, peek=True).experiences
    if isinstance(source, list):  # each parent draws its own
        return experiences
    rows = choose(source, total, maximum).cpu()

    def taken(leaf: Any) -> Any:
        return leaf[rows.numpy()] if isinstance(leaf, np.ndarray) else leaf[rows.to(leaf.device)]

    return map_leaves(taken, experiences)


def _has_rows(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        dense = leaf.layout == torch.strided and not (leaf.is_nested or leaf.is_quantized or leaf.is_meta)
        return dense and leaf.ndim > 0 and not is_transformed(leaf)
    return type(leaf) in (np.ndarray, np.memmap) and leaf.ndim > 0


def subsample(
    experiences: Experiences | ExperienceSets,
    maximum: int | None,
    per_parent: bool,
    streams: Streams,
    parents: int,
) -> tuple[Experiences | ExperienceSets, bool]:
    """Draw at most ``maximum`` experiences per parent, without replacement.

    With one random stream, parents that share their experiences also share the draw.

    Returns:
        The experiences, and whether they now have one set per parent.
    """
    if isinstance(experiences, ExperienceSets):
        return _subsample_sets(experiences, maximum, per_parent, streams, parents)
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


def _subsample_sets(
    experiences: ExperienceSets,
    maximum: int | None,
    per_parent: bool,
    streams: Streams,
    parents: int,
) -> tuple[ExperienceSets, bool]:
    if maximum is None or max(map(len, experiences.sets)) <= maximum:
        return experiences, per_parent
    sources = streams.experiences
    each = sources if isinstance(sources, list) else [sources] * (parents if per_parent else 1)
    sets = experiences.sets if per_parent else experiences.sets * len(each)
    drawn = [
        own[choose(source, len(own), maximum).cpu().numpy()] if len(own) > maximum else own
        for source, own in zip(each, sets, strict=True)
    ]
    return ExperienceSets(experiences.stacks, drawn), len(drawn) == parents


def expand_to_parents(
    experiences: Experiences | ExperienceSets, parents: int, per_parent: bool
) -> Experiences | ExperienceSets:
    """Give shared experiences (I, ...) the leading axis of (N, I, ...), without copying."""
    if isinstance(experiences, ExperienceSets):
        sets = experiences.sets if per_parent else experiences.sets * parents
        return ExperienceSets(experiences.stacks, sets).simplest()
    if per_parent:
        return experiences
    return map_leaves(lambda leaf: leaf.expand(parents, *leaf.shape), experiences)
