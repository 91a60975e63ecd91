"""The Breadcrumb Hard Maze as a task for any library: genomes in, fitness, experiences and behaviour out."""

from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import gym_safemaze  # noqa: F401  (registers the environments)
from safe_mutation import FlatNetwork


class Rollouts(NamedTuple):
    """One episode of each of N genomes.

    Attributes:
        fitness: (N,), minus the length of the way that is left to the goal.
        experiences: (N, 134, 11), what each has sensed.
        behavior: (N, 2), where each has come to.
    """

    fitness: np.ndarray
    experiences: np.ndarray
    behavior: np.ndarray


def make_policy() -> nn.Sequential:
    """The paper's network for the maze, sixteen layers deep: eleven sensors to turn and thrust."""
    layers: list[nn.Module] = [nn.Linear(11, 8), nn.SELU()]
    for _ in range(16):
        layers += [nn.Linear(8, 8), nn.SELU()]
    policy = nn.Sequential(*layers, nn.Linear(8, 2), nn.Sigmoid())
    for layer in policy:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
    return policy


class HardMaze:
    """Evaluates genomes, counts them, and notices the first that reaches the goal.

    Attributes:
        network: Of P = 1,266 weights, as a function of genomes.
        evaluations: Genomes evaluated so far.
        solved_at: The number of the first that has reached the goal, None before.
        best: The highest fitness so far.
    """

    name = "Hard Maze"

    def __init__(self) -> None:
        self.network = FlatNetwork(make_policy())
        self.evaluations = 0
        self.solved_at: int | None = None
        self.best = -np.inf
        self._lanes: dict[int, gym.vector.VectorEnv] = {}

    def initial_genomes(self, number: int, seed: int) -> np.ndarray:
        """Genomes (number, P), float32, initialised as in the paper."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return np.stack([self.network.flatten(make_policy()).numpy() for _ in range(number)])

    def evaluate(self, genomes: np.ndarray) -> Rollouts:
        """Let each of the genomes (N, P) drive one lane of the vector environment for an episode."""
        genomes = np.asarray(genomes, dtype=np.float32)
        if len(genomes) not in self._lanes:
            self._lanes[len(genomes)] = gym.make_vec(
                "safemaze/BreadcrumbHardMaze-v0", num_envs=len(genomes), frame_skip=3
            )
        lanes = self._lanes[len(genomes)]
        observations, _ = lanes.reset()
        seen, over = [], False
        while not over:  # all episodes are equally long
            seen.append(observations.copy())
            actions = self.network(genomes, observations[:, None])[:, 0]
            observations, _, terminated, _, info = lanes.step(actions)
            over = terminated.all()
        if self.solved_at is None and info["solved"].any():
            self.solved_at = self.evaluations + 1 + int(info["solved"].argmax())
        self.evaluations += len(genomes)
        self.best = max(self.best, float(info["fitness"].max()))
        return Rollouts(info["fitness"], np.stack(seen, axis=1), info["behavior"])
