"""Pairs of parents, their children, and what is measured of these."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch

from beyond.crossover_operators import Pairs, mutate
from evolution.domain import Domain
from evolution.randomness import Purpose, stream
from safe_mutation import DivergenceNotReached, sensitivity
from safe_mutation.experiences import Experiences, count, map_leaves, take

AT_ONCE = 95  # pairs
STRANGERS, SIBLINGS = "strangers", "siblings"


def every_pair(solutions: int) -> list[tuple[int, int]]:
    """Every solution with every other, in both orders."""
    return list(permutations(range(solutions), 2))


def both_orders(solutions: int) -> list[tuple[int, int]]:
    """The two mutants of every solution, in both orders."""
    return [pair for n in range(solutions) for pair in ((2 * n, 2 * n + 1), (2 * n + 1, 2 * n))]


PLACES = {STRANGERS: every_pair, SIBLINGS: both_orders}


def mutants(domain: Domain, solutions: np.ndarray, seed: int) -> np.ndarray:
    """Two safe mutants (2 S, P) of each of S solutions, one after the other."""
    parents = np.repeat(solutions, 2, axis=0)
    noise = [stream(seed, n, 0, Purpose.MUTATION) for n in range(len(parents))]
    seen = kept_experiences(domain, parents, seed)
    nobody = [np.empty(0)] * len(parents)
    return offspring(Pairs(domain, parents, parents, seen, nobody, noise), mutate)


def measure(
    domain: Domain,
    parents: np.ndarray,
    places: list[tuple[int, int]],
    operator: Callable[[Pairs], np.ndarray],
    seed: int,
) -> dict[str, list[float]]:
    """The children of pairs among some parents (N, P), given by their places.

    Returns:
        For each pair: whether the child solves the task (0 or 1),
        its divergences from the first and from the second parent on what they have seen, and its distance
        from the first over the distance of the parents.
    """
    seen = kept_experiences(domain, parents, seed)
    found: dict[str, list[float]] = {name: [] for name in ("solves", "first", "second", "way")}
    for start in range(0, len(places), AT_ONCE):
        pairs = pair(domain, parents, seen, places[start : start + AT_ONCE], seed)
        children = offspring(pairs, operator)
        found["solves"] += domain.evaluate(children).solved.astype(int).tolist()
        found["first"] += divergences(domain, pairs.parents, children, pairs.seen)
        found["second"] += divergences(domain, pairs.others, children, pairs.others_seen)
        lengths = np.linalg.norm(children - pairs.parents, axis=1)
        found["way"] += _short(lengths / np.linalg.norm(pairs.others - pairs.parents, axis=1))
    return found


def pair(
    domain: Domain, parents: np.ndarray, seen: list[Experiences], places: list[tuple[int, int]], seed: int
) -> Pairs:
    """Some pairs among the solutions, by their places."""
    a, b = np.array(places).T
    noise = [stream(seed, n, m, Purpose.ROBUSTNESS) for n, m in places]
    return Pairs(domain, parents[a], parents[b], [seen[n] for n in a], [seen[n] for n in b], noise)


def offspring(pairs: Pairs, operator: Callable[[Pairs], np.ndarray]) -> np.ndarray:
    """A child (N, P) of each pair."""
    with warnings.catch_warnings():
        # A saturated parent cannot be moved as far as it should; its child counts all the same.
        warnings.simplefilter("ignore", DivergenceNotReached)
        return operator(pairs)


def kept_experiences(domain: Domain, genomes: np.ndarray, seed: int) -> list[Experiences]:
    """What each genome meets, as many as evolution keeps."""
    kept = []
    for n, experiences in enumerate(domain.evaluate(genomes).experiences):
        one, number = experiences, count(experiences)
        if number > domain.experiences_kept:
            chance = stream(seed, n, 0, Purpose.EXPERIENCES)
            one = take(one, chance.choice(number, domain.experiences_kept, replace=False))
        kept.append(map_leaves(np.array, one))
    return kept


def divergences(
    domain: Domain, parents: np.ndarray, children: np.ndarray, seen: list[Experiences]
) -> list[float]:
    """Equation 1 (N,) of each child from its parent on what that has seen."""
    found = [
        sensitivity.divergence(
            domain.network,
            torch.from_numpy(parents[n : n + 1]),
            torch.from_numpy(children[n : n + 1]),
            map_leaves(lambda leaf: torch.from_numpy(leaf)[None], seen[n]),
        ).item()
        for n in range(len(parents))
    ]
    return _short(np.array(found))


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
