"""A genetic algorithm over policies of stable-baselines3, as initialised or as PPO has trained them.

    pip install ./safe_mutation ./gym_safemaze stable-baselines3==2.9.2
    python examples/other_libraries/stable_baselines3_ga.py CartPole-v1
    python examples/other_libraries/stable_baselines3_ga.py LunarLander-v3            (needs gymnasium[box2d])
    python examples/other_libraries/stable_baselines3_ga.py safemaze/BreadcrumbHardMaze-v0 --train 20000

Prints the returns with safe mutation beside those with plain mutation. The critic is left alone.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from torch import Tensor

import gym_safemaze  # noqa: F401  (registers the environments)
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation

SIZE, BEST = 32, 8  # individuals, and how many of them are parents of the next


def read_outputs(policy: Any, observations: Tensor) -> Tensor:
    """What decides the action: probabilities (I, actions), or the mean of a continuous action (I, A)."""
    distribution = policy.get_distribution(observations).distribution
    return distribution.probs if hasattr(distribution, "probs") else distribution.mean


class Rollouts:
    """All individuals at once, each in a lane of a vector environment."""

    def __init__(self, env: str, network: FlatNetwork, seed: int, **options: Any) -> None:
        self.lanes = gym.make_vec(env, num_envs=SIZE, **options)
        self.network, self.seed = network, seed

    def __call__(self, genomes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns (SIZE,) of one episode each, which begin alike in every generation; what each has seen."""
        observations, _ = self.lanes.reset(seed=self.seed)
        returns, alive = np.zeros(SIZE), np.ones(SIZE, dtype=bool)
        seen: list[list[np.ndarray]] = [[] for _ in genomes]
        while alive.any():
            for lane in np.flatnonzero(alive):
                seen[lane].append(observations[lane].copy())
            observations, rewards, terminated, truncated, _ = self.lanes.step(
                self._act(genomes, observations)
            )
            returns += rewards * alive
            alive &= ~(terminated | truncated)
        return returns, [np.stack(steps) for steps in seen]

    def _act(self, genomes: np.ndarray, observations: np.ndarray) -> np.ndarray:
        outputs = self.network(genomes, observations[:, None])[:, 0]
        space = self.lanes.single_action_space
        return np.clip(outputs, space.low, space.high) if isinstance(space, Box) else outputs.argmax(1)


def evolve(
    rollouts: Rollouts, parent: np.ndarray, op: Any, generations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield returns (SIZE,) of each generation; the first holds copies of the parent."""
    genomes = np.repeat(parent[None], SIZE, axis=0)
    returns, seen = rollouts(genomes)
    yield returns
    for _ in range(generations):
        parents = np.argsort(-returns, kind="stable")[:BEST].repeat(SIZE // BEST)
        sets = [seen[parent] for parent in parents]
        children = op(genomes[parents], experiences=sets, per_parent=True, generator=rng)
        children[0] = genomes[parents[0]]  # the best stays
        genomes = children
        returns, seen = rollouts(genomes)
        yield returns


def main() -> None:
    """Train if asked for, then evolve with each operator."""
    parser = argparse.ArgumentParser()
    parser.add_argument("env")
    parser.add_argument("--train", type=int, default=0, help="steps of PPO before")
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    held = {"frame_skip": 3} if "Maze" in options.env else {}
    for seed in range(1, options.seeds + 1):
        train_env = make_vec_env(options.env, seed=seed, env_kwargs=held)
        policy = PPO("MlpPolicy", train_env, seed=seed, device="cpu").learn(options.train).policy
        policy.set_training_mode(False)
        network = FlatNetwork(policy, forward=read_outputs)
        rollouts, parent = Rollouts(options.env, network, seed, **held), network.flatten().numpy()
        mask = network.reaching(rollouts.lanes.reset(seed=seed)[0])
        operators = {
            "safe": SMGSO(network, divergence=0.03, mask=mask),
            "plain": GaussianMutation(network, sigma=0.05, mask=mask),
        }
        for name, op in operators.items():
            history = list(evolve(rollouts, parent, op, options.generations, np.random.default_rng(seed)))
            first, *_, last = history
            print(
                f"seed {seed}, {name}: mean return {first.mean():.0f} at first; "
                f"of the last generation {last.mean():.0f}, its best {last.max():.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
