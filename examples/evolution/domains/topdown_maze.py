"""The Topdown Maze (paper, section 4): which way to go must be counted, as all crossings look alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from evolution.domain import Domain, Evaluation
from evolution.domains.maze_walk import replay, walk
from evolution.domains.replay import beside
from evolution.individual import Individual
from evolution.networks.conv_lstm import CompiledConvLSTM, topdown_network


@dataclass(frozen=True)
class TopdownMaze(Domain):
    """Walk along the path of a maze of which the three squares by three around the walker are seen.

    Fitness is the number of squares of the path touched; solved means all 22 of them.

    Attributes:
        steps: Length of an episode.
        broken_fitness: Of a network whose outputs are not numbers.
    """

    name: ClassVar[str] = "topdown-maze"
    on_devices: ClassVar[bool] = True

    steps: int = 40
    broken_fitness: float = -1e8

    @cached_property
    def network(self) -> CompiledConvLSTM:
        """The paper's network, 25,805 weights."""
        return topdown_network()

    def evaluate(self, genomes: np.ndarray | Tensor) -> Evaluation:
        """Let each of the genomes (N, P) walk for an episode."""
        return walk(*self.environment, self.network, genomes, self.broken_fitness)

    def replay(self, genome: np.ndarray) -> Iterator[np.ndarray]:
        """What the walker sees, beside the map with the squares it has touched."""
        for seen, chart in replay(*self.environment, self.network, genome):
            yield beside(seen, chart)

    def picture(self, path: Path, champion: Individual, seed: int) -> str:
        """Draw the squares that the champion has touched."""
        *_, last = self.replay(champion.genome)
        Image.fromarray(last).save(path)
        return f"touches {champion.fitness:.0f} squares of the path  ->  {path}"

    @property
    def environment(self) -> tuple[str, dict[str, Any]]:
        """Gymnasium's name and the arguments of the environment."""
        return "safemaze/TopdownMaze-v0", {"max_steps": self.steps}
