"""Evaluate many genomes at once: one lane of a vectorised environment for each.

``evaluate_hard_maze(network, genomes)`` returns everything evolution needs of an evaluation:
fitness, whether the task was solved, and the experiences that safe mutations of the genome will
look at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import gymnasium as gym
import numpy as np

import gym_safemaze  # noqa: F401  (registers the environments)
from evolution.networks.feed_forward import FeedForward

DECISION_INTERVAL = 3  # frames for which the hard maze robot holds an action
FRAMES = 400
BROKEN_FITNESS = -1e8  # of a network whose outputs are not numbers, as in the published code


@dataclass
class Evaluation:
    """What came of evaluating N genomes.

    Attributes:
        fitness: Fitness (N,), float64.
        solved: Whether each genome solved the task (N,), bool.
        experiences: Inputs that each network met, (N, I, ...), float32.
        behavior: What each agent did: its positions (N, steps + 1, 2) in the maze.
    """

    fitness: np.ndarray
    solved: np.ndarray
    experiences: np.ndarray
    behavior: np.ndarray


@lru_cache(maxsize=64)
def hard_maze_lanes(number: int) -> gym.vector.VectorEnv:
    """One robot per genome; the network sees every third frame, yet every frame is recorded."""
    return gym.make_vec(
        "safemaze/BreadcrumbHardMaze-v0",
        num_envs=number,
        max_steps=FRAMES,
        frame_skip=DECISION_INTERVAL,
        record_frames=True,
        autoreset_mode="Disabled",
    )


def evaluate_hard_maze(network: FeedForward, genomes: np.ndarray) -> Evaluation:
    """Let each of the genomes (N, P) drive a robot for an episode of 400 frames.

    Experiences are the observations (N, 400, 11) before each frame, as the published code records them.
    """
    lanes = hard_maze_lanes(len(genomes))
    decide = network.policy(genomes)
    observations, info = lanes.reset()
    frames, positions = [observations[:, None]], [info["behavior"]]
    over, broken = False, np.zeros(len(genomes), dtype=bool)
    while not over:
        actions = decide(observations)
        if math.isnan(actions.sum()):
            broken |= np.isnan(actions).any(axis=1)
            actions[broken] = 0.5  # neither turn nor thrust
        observations, _, terminated, _, info = lanes.step(actions)
        frames.append(info["frames"])
        positions.append(info["behavior"])
        over = terminated[0]  # all episodes last 400 frames
    experiences = np.concatenate(frames, axis=1)[:, :FRAMES]
    fitness = np.where(broken, BROKEN_FITNESS, info["fitness"])
    return Evaluation(fitness, info["solved"] & ~broken, experiences, np.stack(positions, axis=1))
