"""The hard maze with networks of up to a million weights (paper, section 4, figure 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from evolution.domain import Evaluation
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
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

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Let each of the genomes (N, P) drive a robot, one by one: one fills a cache."""
        one_by_one = [super(LargeScale32, self).evaluate(genome[None]) for genome in genomes]
        return Evaluation(
            np.concatenate([one.fitness for one in one_by_one]),
            np.concatenate([one.solved for one in one_by_one]),
            np.concatenate([one.experiences for one in one_by_one]),
            np.concatenate([one.behavior for one in one_by_one]),
        )


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
