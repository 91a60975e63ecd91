"""What if a parent has no experiences? Substitutes for them in the hard maze, against its own.

    python examples/without_experiences.py              children of the solutions of figure 3
    python examples/without_experiences.py --evolve 8   evolutions with each, that many of them

Safe mutation keeps outputs on the experiences that it is given. How well does it keep behaviour when those
are not the parent's own?
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.result import read_champions
from safe_mutation import SMGSO, GaussianMutation

SOLUTIONS = Path(__file__).parent / "results" / "figure-3" / "SM-G-SO.npz"
CHILDREN = 20  # of each solution
SMALL, USUAL = (
    0.003,
    0.03,
)  # divergences on what the mutation is given: of those children, and in an evolution

DOMAIN = BreadcrumbHardMaze()
Substitute = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""The experiences (N, 400, 11) of N parents, all of them, to those (N, I, 11) that mutation is given."""


def own(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of the parent's own episode."""
    return seen


def own_beginning(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first quarter of the parent's own episode: the rest is unseen."""
    return seen[:, :100]


def replay_buffer(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """100 drawn from what all parents saw, anew for each of them."""
    pool = seen.reshape(-1, seen.shape[-1])
    return pool[rng.integers(len(pool), size=(len(seen), 100))]


def first_rollout(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The episode of one network as it is initialised, the same for all parents and for good."""
    beginner = DOMAIN.network.initial_genomes(1, np.random.default_rng(0))
    return np.repeat(DOMAIN.evaluate(beginner).experiences, len(seen), axis=0)


def random_inputs(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uniform in the observation space, from 0 to 1 each."""
    return rng.random((len(seen), 100, seen.shape[-1]), dtype=np.float32)


SUBSTITUTES: dict[str, Substitute] = {
    "the parent's own": own,
    "own, first quarter of the episode": own_beginning,
    "replay buffer of the population": replay_buffer,
    "one rollout of an untrained network": first_rollout,
    "random inputs": random_inputs,
}


def children_table() -> None:
    """Children of the solutions: divergence on their parents' true experiences, and how many still solve."""
    champions = [champion for champion in read_champions(SOLUTIONS) if champion.solved]
    parents = np.stack([champion.genome for champion in champions]).repeat(CHILDREN, axis=0)
    seen = DOMAIN.evaluate(parents).experiences
    op = SMGSO(DOMAIN.network, divergence=SMALL, weight_clip=0.2)
    print(f"{len(champions)} solutions, {CHILDREN} children of each\n")
    print("| experiences given | divergence on the true ones: median | 90 % below | children that solve |")
    print("|---|---|---|---|")
    for name, substitute in SUBSTITUTES.items():
        rng = np.random.default_rng(1)
        children = op(parents, experiences=substitute(seen, rng), per_parent=True, generator=rng)
        print(f"| {name} | {told(parents, children, seen)} |")
    control = GaussianMutation(DOMAIN.network, divergence=SMALL)
    children = control(parents, experiences=seen, per_parent=True, generator=1)
    print(f"| plain mutation of the same divergence on the true ones | {told(parents, children, seen)} |")
    children = GaussianMutation(sigma=0.05)(parents, generator=1)
    print(f"| none: plain mutation, sigma 0.05 | {told(parents, children, seen)} |")


def told(parents: np.ndarray, children: np.ndarray, seen: np.ndarray) -> str:
    """Cells of the table."""
    inputs = torch.from_numpy(seen)
    with torch.inference_mode():
        before, after = (DOMAIN.network(torch.from_numpy(genomes), inputs) for genomes in (parents, children))
    divergences = ((before - after) ** 2).sum(-1).mean(-1).numpy()
    solved = DOMAIN.evaluate(children).solved.mean()
    return f"{np.median(divergences):.2g} | {np.quantile(divergences, 0.9):.2g} | {100 * solved:.0f} %"


def evolve(substitute: Substitute, seed: int, evaluations: int, size: int = 100) -> float:
    """The best fitness of a (100 + 100) evolution strategy with tournaments of three."""
    rng = np.random.default_rng(seed)
    op = SMGSO(DOMAIN.network, divergence=USUAL, weight_clip=0.2)
    population = DOMAIN.network.initial_genomes(size, rng)
    evaluation = DOMAIN.evaluate(population)
    fitness, seen = evaluation.fitness, evaluation.experiences
    for _ in range(size, evaluations, size):
        entrants = rng.integers(size, size=(size, 3))
        winners = entrants[np.arange(size), fitness[entrants].argmax(axis=1)]
        given = substitute(seen[winners], rng)
        children = op(population[winners], experiences=given, per_parent=True, generator=rng)
        evaluation = DOMAIN.evaluate(children)
        population = np.concatenate([population, children])
        fitness = np.concatenate([fitness, evaluation.fitness])
        seen = np.concatenate([seen, evaluation.experiences])
        kept = np.argsort(-fitness, kind="stable")[:size]
        population, fitness, seen = population[kept], fitness[kept], seen[kept]
    return float(fitness.max())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--evolve", type=int, metavar="SEEDS")
    parser.add_argument("--evaluations", type=int, default=3000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.evolve is None:
        children_table()
        return
    print(f"| experiences given | best fitness after {options.evaluations:,} evaluations: median | each |")
    print("|---|---|---|")
    for name, substitute in SUBSTITUTES.items():
        best = [evolve(substitute, seed, options.evaluations) for seed in range(1, options.evolve + 1)]
        print(
            f"| {name} | {np.median(best):.0f} | {', '.join(f'{one:.0f}' for one in sorted(best))} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
