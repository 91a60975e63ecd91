"""The First-person 3D Maze (paper, section 4): the maze of the Topdown Maze, seen from inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from evolution.domain import Domain, Evaluation
from evolution.domains.maze_walk import replay, walk
from evolution.individual import Individual
from evolution.networks.conv_lstm import CompiledConvLSTM, first_person_network


@dataclass(frozen=True)
class FirstPersonMaze(Domain):
    """Walk along the path of a maze that is seen as a walker in it sees it.

    Fitness is how many squares along the path the walker has come; solved means to its end. The paper gives
    no speeds, and they decide how hard the task is.

    Attributes:
        frames: Length of an episode.
        decision_interval: Frames for which the walker holds an action; the network sees every so manieth.
        move_speed: Squares walked per frame.
        turn_speed: Degrees turned per frame.
        broken_fitness: Of a network whose outputs are not numbers.
    """

    name: ClassVar[str] = "first-person-maze"
    variants: ClassVar[dict] = {
        "slow": {"move_speed": 0.08, "turn_speed": 5.0},
        "slowest": {"move_speed": 0.07, "turn_speed": 4.0},
    }

    frames: int = 400
    decision_interval: int = 4
    move_speed: float = 0.125
    turn_speed: float = 5.625
    broken_fitness: float = -1e8

    @cached_property
    def network(self) -> CompiledConvLSTM:
        """The paper's network, 20,573 weights."""
        return first_person_network()

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Let each of the genomes (N, P) walk for an episode."""
        return walk(*self.environment, self.network, genomes, self.broken_fitness)

    def replay(self, genome: np.ndarray) -> Iterator[np.ndarray]:
        """What the walker sees, beside its way on the map."""
        for _, both in replay(*self.environment, self.network, genome):
            yield both

    def picture(self, path: Path, champion: Individual, seed: int) -> str:
        """Draw the champion's way."""
        *_, last = self.replay(champion.genome)
        Image.fromarray(last).save(path)
        return f"comes {champion.fitness:.1f} squares along the path  ->  {path}"

    @property
    def environment(self) -> tuple[str, dict[str, Any]]:
        """Gymnasium's name and the arguments of the environment."""
        return "safemaze/FirstPersonMaze-v0", {
            "max_steps": self.frames,
            "frame_skip": self.decision_interval,
            "move_speed": self.move_speed,
            "turn_speed": self.turn_speed,
        }
