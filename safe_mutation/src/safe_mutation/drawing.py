"""Which of the experiences a call uses, and giving every parent its own."""

from __future__ import annotations

import torch

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, map_leaves
from safe_mutation.noise import Streams, choose


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
