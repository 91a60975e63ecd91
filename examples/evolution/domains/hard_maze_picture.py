"""A picture of a maze champion: its path, and what a hundred mutations by two operators do to it.

Both operators change the champion's weights by the same length, so that the difference between the
panels is not how far they go in weight space but where.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evolution.domain import Domain
from evolution.individual import Individual
from evolution.randomness import Purpose, stream
from gym_safemaze.wall_maze import WallMaze
from safe_mutation import GaussianMutation, make

if TYPE_CHECKING:  # matplotlib is imported when something is drawn: workers start without it
    from matplotlib.axes import Axes

CHILDREN = 100
CONTROL_SIGMA = (
    0.005  # a tenth of table S1's, at which hardly any child of a first solution still solves the maze
)
SOLVES, FAILS, CHAMPION = "#1b7f3b", "#b9bec6", "#c2410c"


def picture_solution(domain: Domain, path: Path, champion: Individual, seed: int) -> str:
    """Draw the champion and its children under the control and SM-G-SUM.

    Args:
        domain: A form of the hard maze.
        path: PNG to write.
        champion: A genome of its network with its experiences.
        seed: Of the mutations.

    Returns:
        One line that says how many children of each still solve the maze.
    """
    import matplotlib

    matplotlib.use("Agg")  # no display needed
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 4.7), layout="constrained")
    path_driven = champion.behavior  # another device might round to another
    if path_driven is None:
        [path_driven] = domain.evaluate(champion.genome[None]).behavior
    draw_maze(axes[0])
    axes[0].plot(*path_driven.T, color=CHAMPION, linewidth=1.5)
    axes[0].set_title("the champion" + ("" if champion.solved else " (does not solve the maze)"))
    shares = []
    for ax, (name, genomes) in zip(axes[1:], mutants(domain, champion, seed).items(), strict=True):
        evaluation = domain.evaluate(genomes)
        draw_maze(ax)
        draw_paths(ax, evaluation.behavior, evaluation.solved)
        ax.set_title(f"{CHILDREN} children by {name}: {evaluation.solved.mean():.0%} solve the maze")
        shares.append(f"{evaluation.solved.mean():.0%} of the children by {name}")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return f"still solve the maze: {', '.join(shares)}  ->  {path}"


def mutants(domain: Domain, champion: Individual, seed: int, safe: str = "SM-G-SUM") -> dict[str, np.ndarray]:
    """Children (100, P) of the champion by the control and by an SM-G operator of the same step length."""
    operator = same_length(make(safe, domain.network, domain=domain.name), champion, seed)
    return {
        "control": children(GaussianMutation(sigma=CONTROL_SIGMA), champion, seed),
        safe: children(operator, champion, seed),
    }


def robustness(domain: Domain, champion: Individual, seed: int) -> float:
    """Share of the champion's mutants, by the control and by SM-G-SUM alike, that solve the maze."""
    genomes = np.concatenate(list(mutants(domain, champion, seed).values()))
    return float(domain.evaluate(genomes).solved.mean())


def children(operator: Any, champion: Individual, seed: int) -> np.ndarray:
    """A hundred children (100, P) of the champion."""
    return operator(
        np.repeat(champion.genome[None], CHILDREN, axis=0),
        experiences=champion.experiences,
        generator=[stream(seed, 0, child, Purpose.ROBUSTNESS) for child in range(CHILDREN)],
    )


def same_length(operator: Any, champion: Individual, seed: int) -> Any:
    """The operator with the sigma at which its median step is as long as the control's."""
    target = CONTROL_SIGMA * np.sqrt(len(champion.genome))
    low, high = 1e-8, 1e2  # the length grows with sigma, up to the clip
    for _ in range(25):
        middle = float(np.sqrt(low * high))
        candidate = dataclasses.replace(operator, sigma=middle)
        steps = children(candidate, champion, seed) - champion.genome
        if np.median(np.linalg.norm(steps, axis=1)) < target:
            low = middle
        else:
            high = middle
    return candidate


def draw_paths(ax: Axes, paths: np.ndarray, solved: np.ndarray) -> None:
    """Draw the paths (N, T, 2) of robots, those that solve the maze, solved (N,), on top."""
    from matplotlib.collections import LineCollection

    for outcome, colour in ((False, FAILS), (True, SOLVES)):
        chosen = paths[solved == outcome]
        ax.add_collection(LineCollection(list(chosen), colors=colour, linewidths=0.6, alpha=0.7))
        ax.plot(*chosen[:, -1].T, ".", color=colour, markersize=4)


def draw_maze(ax: Axes) -> None:
    """Draw the walls of the hard maze, its start and its goal."""
    from matplotlib.collections import LineCollection

    maze = WallMaze.load("hard")
    ax.add_collection(LineCollection([[(x0, y0), (x1, y1)] for x0, y0, x1, y1 in maze.walls], colors="black"))
    ax.plot(*maze.start, "o", color="#2563eb", markersize=7)
    ax.plot(*maze.goal, "*", color="#eab308", markersize=13, markeredgecolor="black", zorder=5)
    ax.set(aspect="equal", xlim=(0, 202), ylim=(210, 0))  # y grows downwards
    ax.axis("off")
