"""Episodes of networks that see pictures of a maze and choose one of its actions."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from torch import Tensor

import gym_safemaze  # noqa: F401  (registers the environments)
from evolution.domain import Evaluation
from evolution.networks.conv_lstm import CompiledConvLSTM

Settings = Mapping[str, Any]  # of an environment


def walk(
    environment: str,
    settings: Settings,
    network: CompiledConvLSTM,
    genomes: np.ndarray | Tensor,
    broken_fitness: float,
) -> Evaluation:
    """Let each of the genomes (N, P) walk until its own episode is over.

    A network's action is its largest output. Its one experience is the film of what it saw, its behaviour
    where it was, (steps + 1, 2).

    Args:
        environment: Gymnasium's name.
        settings: The environment's arguments.
        network: What the genomes are for.
        genomes: (N, P).
        broken_fitness: Fitness of a network whose outputs are not numbers.
    """
    number = len(genomes)
    lanes = _lanes(environment, settings, number)
    decide = network.policy(genomes)
    pictures, info = lanes.reset()
    positions = [info["behavior"]]
    fitness, steps = np.zeros(number), np.zeros(number, dtype=np.int64)
    solved, broken = np.zeros(number, dtype=bool), np.zeros(number, dtype=bool)
    walking = np.ones(number, dtype=bool)
    while walking.any():  # the others have begun another episode, which nobody looks at
        outputs = decide(pictures[..., 0])
        broken |= walking & np.isnan(outputs).any(axis=1)
        pictures, _, over, _, info = lanes.step(outputs.argmax(axis=1))
        positions.append(info["behavior"])
        steps += walking
        ending = walking & over
        fitness[ending], solved[ending] = info["fitness"][ending], info["solved"][ending]
        walking &= ~over
    seen = [decide.film(n, count) for n, count in enumerate(steps.tolist())]
    return Evaluation(
        np.where(broken, broken_fitness, fitness),
        solved & ~broken,
        [{name: array[None] for name, array in one.items()} for one in seen],
        [path[: count + 1] for path, count in zip(np.stack(positions, axis=1), steps.tolist(), strict=True)],
    )


def replay(
    environment: str, settings: Settings, network: CompiledConvLSTM, genome: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What a genome (P,) sees, (64, 64), and a picture of where it is, at every step of an episode."""
    env = gym.make(environment, **settings, render_mode="rgb_array")
    decide = network.policy(genome[None])
    picture, _ = env.reset()
    over = False
    while not over:
        yield picture[..., 0], np.asarray(env.render())
        picture, _, over, _, _ = env.step(decide(picture[None, ..., 0])[0].argmax())
    yield picture[..., 0], np.asarray(env.render())
    env.close()


def _lanes(environment: str, settings: Settings, number: int) -> gym.vector.VectorEnv:
    """One walker per genome, kept for the next evaluation by the same thread."""
    kept = _environments.__dict__.setdefault("lanes", {})
    key = (environment, *settings.items(), number)
    if key not in kept:
        kept[key] = gym.make_vec(environment, num_envs=number, autoreset_mode="NextStep", **settings)
    return kept[key]


_environments = threading.local()
