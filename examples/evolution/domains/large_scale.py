"""The hard maze with networks of up to a million weights (paper, section 4, figure 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from evolution.domain import Evaluation, joined
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CHAMPION, draw_maze
from evolution.individual import Individual
from evolution.networks.feed_forward import FeedForward, large_scale_network


@dataclass(frozen=True)
class LargeScale32(BreadcrumbHardMaze):
    """The hard maze with a residual network of 505,752 weights.

    Attributes:
        depth: Hidden layers after the first.
        width: Units of each.
    """

    name: ClassVar[str] = "large-scale-32"

    depth: int = 32
    width: int = 125

    @cached_property
    def network(self) -> FeedForward:
        """The paper's residual tanh network of that size."""
        return large_scale_network(self.depth, self.width)

    def evaluate(self, genomes: np.ndarray | Tensor) -> Evaluation:
        """Let each of the genomes (N, P) drive a robot; on a processor one by one, as one fills a cache."""
        if isinstance(genomes, Tensor):
            return super().evaluate(genomes)
        return joined([super(LargeScale32, self).evaluate(genome[None]) for genome in genomes])

    def preference(self, solution: Individual, seed: int) -> float:
        """None: mutants of networks of this size take long to make."""
        return 0.0

    def picture(self, path: Path, champion: Individual, seed: int) -> str:
        """Draw the champion's path."""
        import matplotlib

        matplotlib.use("Agg")  # no display needed
        import matplotlib.pyplot as plt

        figure, ax = plt.subplots(figsize=(4.7, 4.7), layout="constrained")
        draw_maze(ax)
        ax.plot(*np.asarray(champion.behavior).T, color=CHAMPION, linewidth=1.5)
        figure.savefig(path, dpi=110)
        plt.close(figure)
        return f"{'solves' if champion.solved else 'does not solve'} the maze  ->  {path}"


@dataclass(frozen=True)
class LargeScale64(LargeScale32):
    """The hard maze with a residual network of 1,009,752 weights."""

    name: ClassVar[str] = "large-scale-64"

    depth: int = 64


@dataclass(frozen=True)
class LargeScale101(LargeScale32):
    """The hard maze with a residual network of 238,226 weights in 101 layers."""

    name: ClassVar[str] = "large-scale-101"

    depth: int = 101
    width: int = 48
