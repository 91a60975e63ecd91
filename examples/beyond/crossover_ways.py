"""The ways through the hard maze of one solution's children with other solutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from beyond.crossover_children import kept_experiences, offspring, pair
from beyond.crossover_operators import CONSTANTS, OPERATORS
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CHAMPION, draw_maze, draw_paths
from evolution.record import describe
from paper.computation import Computation
from paper.style import save_figure

DOMAIN = BreadcrumbHardMaze()
PICTURED = ("interpolation, halfway", "Fisher", "Fisher, D", "distillation, from the first")


@dataclass(frozen=True)
class Ways(Computation):
    """Where the first solution goes, and its child with each of the others by each operator.

    Attributes:
        solutions: Genomes (S, P). The children's are not kept.
    """

    solutions: np.ndarray

    def compute(self) -> dict[str, Any]:
        """Drive the first solution and the children through the maze."""
        seen = kept_experiences(DOMAIN, self.solutions, self.seed)
        pairs = [(0, other) for other in range(1, len(self.solutions))]
        ways = {}
        for operator in tqdm(PICTURED, desc="ways"):
            children = offspring(pair(DOMAIN, self.solutions, seen, pairs, self.seed), OPERATORS[operator])
            evaluation = DOMAIN.evaluate(children)
            ways[operator] = {"solved": evaluation.solved.tolist(), "ways": _tenths(evaluation.behavior)}
        return {"own": _tenths(DOMAIN.evaluate(self.solutions[:1]).behavior[0]), "children": ways}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "domain": describe(DOMAIN),
            "solutions": describe(self.solutions),
            **CONSTANTS,
            "operators": list(PICTURED),
            "seed": self.seed,
        }


def draw(found: Mapping[str, Any], stem: Path) -> None:
    """Draw the ways of the children, a panel for each operator."""
    children = found["children"]
    figure, axes = plt.subplots(1, len(children), figsize=(4 * len(children), 5.2), layout="constrained")
    for ax, (operator, driven) in zip(axes, children.items(), strict=True):
        solved, ways = np.array(driven["solved"]), np.array(driven["ways"])
        draw_maze(ax)
        draw_paths(ax, ways, solved)
        ax.plot(*np.array(found["own"]).T, color=CHAMPION, linewidth=1.2, linestyle=":")
        ax.set_title(f"{operator}\n{solved.sum()} of {len(solved)} children solve", fontsize=10)
    save_figure(figure, stem)


def _tenths(positions: np.ndarray) -> list[Any]:
    tenths: list[Any] = np.asarray(positions, float).round(1).tolist()
    return tenths
