"""The First-person 3D Maze (paper, section 4): the maze of the Topdown Maze, seen from inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from evolution.domain import Domain, Evaluation
from evolution.domains.maze_walk import replay, walk
from evolution.individual import Individual
from evolution.networks.conv_lstm import CompiledConvLSTM, first_person_network
from gym_safemaze.ascii_maze import load_maze

MAZE = "figure_5a"


@dataclass(frozen=True)
class FirstPersonMaze(Domain):
    """Walk along the path of a maze that is seen as a walker in it sees it.

    Solved means that the walker has come to the end of the path. The paper leaves open how fast it is, how
    close to walls it comes, where it looks at first, and which of its places counts; they decide how hard the
    task is. What is set here comes nearest to the paper's success curves (``first_person_pilot.py``).

    Attributes:
        frames: Length of an episode.
        decision_interval: Frames for which the walker holds an action; the network sees every so manieth.
        move_speed: Squares walked per frame.
        turn_speed: Degrees turned per frame.
        body_radius: How close the middle of the walker comes to walls, in squares.
        heading: Where it looks at first, in degrees; 0 is along the path, 270 to the left of it.
        fitness_of: "furthest", how many squares along the path the walker has come, or "last", how many
            squares it would have left to walk from its last place, counted back from the path's length.
        broken_fitness: Of a network whose outputs are not numbers.
    """

    name: ClassVar[str] = "first-person-maze"
    on_devices: ClassVar[bool] = True
    variants: ClassVar[dict] = {
        "easy": {"move_speed": 0.125, "turn_speed": 5.625, "heading": 0.0},
    }

    frames: int = 400
    decision_interval: int = 4
    move_speed: float = 0.08
    turn_speed: float = 5.0
    body_radius: float = 0.2
    heading: float = 270.0
    fitness_of: str = "furthest"
    broken_fitness: float = -1e8

    def __post_init__(self) -> None:
        if self.fitness_of not in ("furthest", "last"):
            raise ValueError(f"expected fitness_of to be 'furthest' or 'last', got {self.fitness_of!r}")

    @cached_property
    def network(self) -> CompiledConvLSTM:
        """The paper's network, 20,573 weights."""
        return first_person_network()

    def evaluate(self, genomes: np.ndarray | Tensor) -> Evaluation:
        """Let each of the genomes (N, P) walk for an episode."""
        walked = walk(*self.environment, self.network, genomes, self.broken_fitness)
        if self.fitness_of == "last":
            last = np.array([positions[-1] for positions in walked.behavior])
            column, row = np.floor(last).astype(int).T
            # the furthest place bounds it, which a broken network's fitness is below
            walked.fitness = np.minimum(walked.fitness, _progress()[row, column])
        return walked

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
            "maze": MAZE,
            "max_steps": self.frames,
            "frame_skip": self.decision_interval,
            "move_speed": self.move_speed,
            "turn_speed": self.turn_speed,
            "start_angle": self.heading,
            "body_radius": self.body_radius,
        }


@lru_cache(maxsize=1)
def _progress() -> np.ndarray:
    """For each square of the maze (rows, columns) the path's length less the walk from there to its end."""
    maze = load_maze(MAZE)
    length = len(maze.path) - 1
    progress = np.full(maze.walls.shape, -np.inf)
    reached = [tuple(maze.path[-1])]
    for walked in range(maze.walls.size):
        for square in reached:
            progress[square] = length - walked
        beside = {
            (r + south, c + east) for r, c in reached for south, east in ((1, 0), (-1, 0), (0, 1), (0, -1))
        }
        reached = [square for square in beside if not maze.walls[square] and progress[square] == -np.inf]
    return progress
