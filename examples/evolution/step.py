"""Children in the making, and how they are kept in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evolution.breed import Birth
from evolution.individual import Individual, State, pack, unpack
from evolution.replicate import Replicate

FOUNDER, GONE = -1, -2  # in place of a parent's place in its population


@dataclass
class Step:
    """A child of each of some replicates, or the large brood of one.

    Attributes:
        group: Number of the replicates' group.
        births: The children, with the parents as they were when the step was handed out.
        parents: The parents themselves.
        tasks: What the breeder made of it, a task for each batch of births.
    """

    group: int
    births: list[Birth]
    parents: list[Individual | None]
    tasks: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, group: int, births: list[Birth]) -> Step:
        """A step to be handed out."""
        return cls(group, [_as_it_is(birth) for birth in births], [birth.parent for birth in births])

    def keep(self, sensitivities: Iterable[np.ndarray | None]) -> None:
        """Keep sensitivities with the parents: the first that comes, or steps would not be repeatable."""
        for parent, sensitivity in zip(self.parents, sensitivities, strict=True):
            if parent is not None and parent.sensitivity is None:
                parent.sensitivity = sensitivity


def _as_it_is(birth: Birth) -> Birth:
    return birth if birth.parent is None else replace(birth, parent=replace(birth.parent, behavior=None))


def pack_steps(name: str, steps: Iterable[Step], replicates: Sequence[Replicate]) -> State:
    """Steps as arrays; parents that are still in their population are named by their place there."""
    places = {
        id(individual): place
        for replicate in replicates
        if replicate.active
        for place, individual in enumerate(replicate.algorithm.population)
    }
    rows, scales, gone = [], [], []
    for number, step in enumerate(steps):
        for birth, parent in zip(step.births, step.parents, strict=True):
            place = FOUNDER if parent is None else places.get(id(parent), GONE)
            known = birth.parent is not None and birth.parent.sensitivity is not None
            rows.append((number, step.group, birth.run, birth.index, place, known))
            scales.append(birth.scale)
            if place == GONE and birth.parent is not None:
                gone.append(birth.parent)
    if not rows:
        return {}
    return {
        f"{name}.births": np.array(rows, dtype=np.int64),
        f"{name}.scales": np.array(scales),
        **pack(f"{name}.gone", gone),
    }


def unpack_steps(name: str, state: Mapping[str, np.ndarray], replicates: Sequence[Replicate]) -> list[Step]:
    """The steps that ``pack_steps`` put into a state, of replicates that have been loaded from it."""
    if f"{name}.births" not in state:
        return []
    by_run = {replicate.run: replicate.algorithm for replicate in replicates}
    gone = iter(unpack(f"{name}.gone", state))
    steps: dict[int, Step] = {}
    rows = state[f"{name}.births"].tolist()
    scales = state[f"{name}.scales"].tolist()
    for (number, group, run, index, place, known), scale in zip(rows, scales, strict=True):
        step = steps.setdefault(number, Step(group, [], []))
        parent = None if place == FOUNDER else next(gone) if place == GONE else by_run[run].population[place]
        step.parents.append(parent)
        sent = parent if parent is None or known else replace(parent, sensitivity=None)
        step.births.append(_as_it_is(Birth(sent, by_run[run].seed, run, index, scale)))
    return list(steps.values())
