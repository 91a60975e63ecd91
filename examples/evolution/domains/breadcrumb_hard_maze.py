"""The Breadcrumb Hard Maze (paper, section 4): one lane of a vectorised environment for each genome."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from torch import Tensor

import gym_safemaze  # noqa: F401  (registers the environments)
from evolution.domain import Domain, Evaluation, joined
from evolution.domains.hard_maze_picture import picture_solution, robustness
from evolution.domains.hard_maze_rollout import drive
from evolution.domains.in_turn import in_turn
from evolution.domains.replay import bars, beside
from evolution.individual import Individual
from evolution.networks.dense_policy import DensePolicy
from evolution.networks.device_policy import Policy
from evolution.networks.feed_forward import FeedForward, hard_maze_network
from evolution.networks.residual_policy import ResidualPolicy

ENVIRONMENT = "safemaze/BreadcrumbHardMaze-v0"


@dataclass(frozen=True)
class BreadcrumbHardMaze(Domain):
    """Drive a robot through the hard maze to its goal.

    Experiences are the observations (400, 11) before each frame, as the published code records them;
    ``behavior`` holds the positions (decisions + 1, 2).

    Attributes:
        frames: Length of an episode.
        decision_interval: Frames for which the robot holds an action; the network sees every so manieth.
        broken_fitness: Of a network whose outputs are not numbers, as in the published code.
    """

    name: ClassVar[str] = "breadcrumb-hard-maze"
    on_devices: ClassVar[bool] = True

    frames: int = 400
    decision_interval: int = 3
    broken_fitness: float = -1e8

    @cached_property
    def network(self) -> FeedForward:
        """The paper's deep network, 1,266 weights."""
        return hard_maze_network()

    def evaluate(self, genomes: np.ndarray | Tensor) -> Evaluation:
        """Let each of the genomes (N, P) drive a robot for an episode.

        Networks on a device decide for one half of the robots while the other half moves here.
        """
        halves: Sequence[Any] = genomes.chunk(2) if isinstance(genomes, Tensor) else [genomes]
        policies = [self.network.policy(half) for half in halves]
        if isinstance(policies[0], DensePolicy | ResidualPolicy):
            return self._drive_at_once(policies[0], len(genomes))
        episodes = zip(policies, map(len, halves), strict=True)
        return joined(in_turn(self._drive(*one, place) for place, one in enumerate(episodes)))

    def _drive_at_once(self, policy: DensePolicy | ResidualPolicy, number: int) -> Evaluation:
        """Drive robots from start to end in one compiled call."""
        lanes: Any = self._lanes(number, 0).unwrapped
        observations, _ = lanes.reset()
        frames, positions, broken = drive(lanes.lanes, policy, observations)
        fitness = np.where(broken, self.broken_fitness, lanes.lanes.state["fitness"])
        return Evaluation(fitness, lanes.lanes.state["solved"] & ~broken, frames[:, : self.frames], positions)

    def _drive(self, decide: Policy, number: int, place: int) -> Generator[None, None, Evaluation]:
        """Drive robots that no other ``place`` has; pauses while the networks decide."""
        lanes = self._lanes(number, place)
        observations, info = lanes.reset()
        frames, positions = [observations[:, None]], [info["behavior"]]
        over, broken = False, np.zeros(number, dtype=bool)
        while not over:
            decided = decide(observations)
            yield
            actions = np.asarray(decided)
            if math.isnan(actions.sum()):
                broken |= np.isnan(actions).any(axis=1)
                actions[broken] = 0.5  # neither turn nor thrust
            observations, _, terminated, _, info = lanes.step(actions)
            frames.append(info["frames"])
            positions.append(info["behavior"])
            over = terminated[0]  # an episode goes on when its robot has reached the goal: all are as long
        experiences = np.concatenate(frames, axis=1)[:, : self.frames]
        fitness = np.where(broken, self.broken_fitness, info["fitness"])
        return Evaluation(fitness, info["solved"] & ~broken, experiences, np.stack(positions, axis=1))

    def preference(self, solution: Individual, seed: int) -> float:
        """The share of a solution's mutants that solve the maze, too."""
        return robustness(self, solution, seed)

    def picture(self, path: Path, champion: Individual, seed: int) -> str:
        """Draw the champion's path and those of its mutants by the control and by SM-G-SUM."""
        return picture_solution(self, path, champion, seed)

    def replay(self, genome: np.ndarray) -> Iterator[np.ndarray]:
        """The network's inputs as bars, the bias first, beside the robot in its maze; every third frame."""
        env = gym.make(
            ENVIRONMENT, max_steps=self.frames, frame_skip=self.decision_interval, render_mode="rgb_array"
        )
        decide = self.network.policy(genome[None])
        observation, _ = env.reset()
        over = False
        while not over:
            yield beside(bars(observation), np.asarray(env.render()))
            observation, _, over, _, _ = env.step(decide(observation[None])[0])
        yield beside(bars(observation), np.asarray(env.render()))
        env.close()

    def _lanes(self, number: int, place: int) -> gym.vector.VectorEnv:
        """One robot per genome, kept for the next evaluation by the same thread at the same place."""
        kept = _environments.__dict__.setdefault("lanes", {})
        key = (self.frames, self.decision_interval, number, place)
        if key not in kept:
            kept[key] = gym.make_vec(
                ENVIRONMENT,
                num_envs=number,
                max_steps=self.frames,
                frame_skip=self.decision_interval,
                record_frames=True,  # the network sees every third frame, yet every frame is an experience
                autoreset_mode="Disabled",
            )
        return kept[key]


_environments = threading.local()
