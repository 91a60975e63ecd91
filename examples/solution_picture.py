"""A picture of a maze champion: its path, and what a hundred mutations by two operators do to it."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from gym_safemaze.wall_maze import WallMaze
from networks import hard_maze_network
from randomness import Purpose, stream
from rollout import evaluate_hard_maze
from safe_mutation import make
from steady_state_ga import Individual

CHILDREN = 100
SOLVES, FAILS, CHAMPION = "#1b7f3b", "#b9bec6", "#c2410c"


def picture_solution(path: Path, champion: Individual, safe_operator: str, seed: int) -> str:
    """Draw the champion and its children under control and a safe operator (intensities of table S1).

    Args:
        path: PNG to write.
        champion: A genome of the hard maze network with its experiences.
        safe_operator: Name of the operator to compare with the control.
        seed: Of the mutations.

    Returns:
        One line that says how many children of each still solve the maze.
    """
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.7), layout="constrained")
    [champion_path] = evaluate_hard_maze(hard_maze_network(), champion.genome[None]).behavior
    draw_maze(axes[0])
    axes[0].plot(*champion_path.T, color=CHAMPION, linewidth=1.5)
    axes[0].set_title("the champion" + ("" if champion.solved else " (does not solve the maze)"))
    shares = []
    for ax, name in zip(axes[1:], ("control", safe_operator), strict=True):
        share = draw_children(ax, name, champion, seed)
        shares.append(f"{share:.0%} of {CHILDREN} children by {name}")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return f"still solve the maze: {', '.join(shares)}  ->  {path}"


def draw_children(ax: Axes, operator_name: str, champion: Individual, seed: int) -> float:
    """Draw the paths of the champion's children by one operator; returns the share that solves the maze."""
    network = hard_maze_network()
    operator = make(operator_name, network, domain="breadcrumb-hard-maze")
    children = operator(
        np.repeat(champion.genome[None], CHILDREN, axis=0),
        experiences=champion.experiences,
        generator=[stream(seed, 0, child, Purpose.ROBUSTNESS) for child in range(CHILDREN)],
    )
    evaluation = evaluate_hard_maze(network, children)
    draw_maze(ax)
    for solved, colour in ((False, FAILS), (True, SOLVES)):
        paths = evaluation.behavior[evaluation.solved == solved]
        ax.add_collection(LineCollection(list(paths), colors=colour, linewidths=0.6, alpha=0.7))
        ax.plot(*paths[:, -1].T, ".", color=colour, markersize=4)
    share = float(evaluation.solved.mean())
    ax.set_title(f"{CHILDREN} children by {operator_name}: {share:.0%} solve the maze")
    return share


def draw_maze(ax: Axes) -> None:
    """Draw the walls of the hard maze, its start and its goal."""
    maze = WallMaze.load("hard")
    ax.add_collection(LineCollection([[(x0, y0), (x1, y1)] for x0, y0, x1, y1 in maze.walls], colors="black"))
    ax.plot(*maze.start, "o", color="#2563eb", markersize=7)
    ax.plot(*maze.goal, "*", color="#eab308", markersize=13, markeredgecolor="black", zorder=5)
    ax.set(aspect="equal", xlim=(0, 202), ylim=(210, 0))  # y grows downwards
    ax.axis("off")
