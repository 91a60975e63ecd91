"""The crossovers that are compared, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from evolution.domain import Domain
from safe_mutation import SMGSO, DistillationCrossover, FisherCrossover
from safe_mutation.experiences import Experiences, map_leaves
from safe_mutation.fisher_crossover import no_further_than
from safe_mutation.line_search import search

DIVERGENCE, TOLERANCE = 0.03, 0.1
LESSONS: dict[str, Any] = {"steps": 200, "learning_rate": 0.01}
CONSTANTS = {"divergence": DIVERGENCE, "tolerance": TOLERANCE, "lessons": LESSONS}  # of all of them


@dataclass(frozen=True)
class Pairs:
    """Pairs of solutions of a domain.

    Attributes:
        domain: The domain.
        parents: First parents (N, P).
        others: Second parents (N, P).
        seen: What the first parents have seen, for each.
        others_seen: What the second parents have seen.
        noise: Random numbers of each pair.
    """

    domain: Domain
    parents: np.ndarray
    others: np.ndarray
    seen: list[Experiences]
    others_seen: list[Experiences]
    noise: list[np.random.Generator]

    @property
    def call(self) -> dict[str, Any]:
        """Arguments of a crossover."""
        return {
            "experiences": (self.seen, self.others_seen),
            "per_parent": True,
            "generator": self.noise,
        }


def mutate(pairs: Pairs) -> np.ndarray:
    """No crossover: the first parent, mutated."""
    operator = SMGSO(pairs.domain.network, divergence=DIVERGENCE, tolerance=TOLERANCE)
    children: np.ndarray = operator(
        pairs.parents, experiences=pairs.seen, per_parent=True, generator=pairs.noise
    )
    return children


def interpolate(pairs: Pairs) -> np.ndarray:
    """Halfway."""
    return (pairs.parents + pairs.others) / 2


def interpolate_to(pairs: Pairs) -> np.ndarray:
    """So far along the straight line to the other parent as the first parent's behaviour allows."""
    children = []
    for n, parent in enumerate(pairs.parents):
        first = torch.from_numpy(parent)[None]
        inputs = map_leaves(lambda leaf: torch.from_numpy(leaf)[None], pairs.seen[n])
        way = torch.from_numpy(pairs.others[n])[None] - first
        found = search(
            pairs.domain.network,
            first,
            no_further_than(way),
            inputs,
            np.array([DIVERGENCE]),
            np.array([0.1]),
            tolerance=TOLERANCE,
        )
        children.append(found.children[0].numpy())
    return np.stack(children)


def uniform(pairs: Pairs) -> np.ndarray:
    """Every weight from one parent or the other."""
    heads = np.stack([chance.random(pairs.parents.shape[1]) < 0.5 for chance in pairs.noise])
    return np.where(heads, pairs.parents, pairs.others)


def cross(operator: type, **settings: Any) -> Callable[[Pairs], np.ndarray]:
    """By one of the package's crossovers."""

    def children(pairs: Pairs) -> np.ndarray:
        made: np.ndarray = operator(pairs.domain.network, **settings)(
            pairs.parents, pairs.others, **pairs.call
        )
        return made

    return children


OPERATORS: dict[str, Callable[[Pairs], np.ndarray]] = {
    "the first parent itself": lambda pairs: pairs.parents,
    "no crossover: SM-G-SO, D": mutate,
    "interpolation, halfway": interpolate,
    "interpolation, D": interpolate_to,
    "uniform crossover": uniform,
    "Fisher": cross(FisherCrossover),
    "Fisher, D": cross(FisherCrossover, divergence=DIVERGENCE, tolerance=TOLERANCE),
    "distillation, from the mean": cross(DistillationCrossover, **LESSONS),
    "distillation, from the first": cross(DistillationCrossover, **LESSONS, start="first"),
}
