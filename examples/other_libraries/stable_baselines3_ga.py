"""A genetic algorithm over policies of stable-baselines3, as initialised or as PPO has trained them.

    pip install ./safe_mutation ./gym_safemaze stable-baselines3==2.9.2 scipy
    python examples/other_libraries/stable_baselines3_ga.py CartPole-v1
    python examples/other_libraries/stable_baselines3_ga.py LunarLander-v3            (needs gymnasium[box2d])
    python examples/other_libraries/stable_baselines3_ga.py safemaze/BreadcrumbHardMaze-v0 --train 20000

Prints the returns with safe mutation beside those with plain mutation, at last as a row of the README's
table, whose data are in results/stable-baselines3/ga.json (--save). The critic is left alone.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box
from scipy.stats import wilcoxon
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from torch import Tensor

import gym_safemaze  # noqa: F401  (registers the environments)
from comparison import save
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation

RESULTS = Path(__file__).parents[1] / "results" / "stable-baselines3" / "ga.json"
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


def compare(env: str, train: int, generations: int, seed: int) -> dict[str, dict]:
    """Evolve one policy with each operator: returns of the first generation and of the last."""
    held = {"frame_skip": 3} if "Maze" in env else {}
    train_env = make_vec_env(env, seed=seed, env_kwargs=held)
    policy = PPO("MlpPolicy", train_env, seed=seed, device="cpu").learn(train).policy
    policy.set_training_mode(False)
    network = FlatNetwork(policy, forward=read_outputs)
    rollouts, parent = Rollouts(env, network, seed, **held), network.flatten().numpy()
    mask = network.reaching(rollouts.lanes.reset(seed=seed)[0])
    operators = {
        "safe": SMGSO(network, divergence=0.03, mask=mask),
        "plain": GaussianMutation(network, sigma=0.05, mask=mask),
    }
    results = {}
    for name, op in operators.items():
        first, *_, last = evolve(rollouts, parent, op, generations, np.random.default_rng(seed))
        returns = {"first": first.mean(), "mean": last.mean(), "best": last.max()}
        results[name] = {key: round(float(value), 1) for key, value in returns.items()}
    return results


def row(env: str, record: dict) -> str:
    """Medians over seeds; by the last generation's mean, in how many safe mutation is better and worse."""
    safe, plain = ([run["mean"] for run in record[name]] for name in ("safe", "plain"))
    better, worse = np.greater(safe, plain).sum(), np.less(safe, plain).sum()
    cells = [f"`{env} --generations {record['generations']} --train {record['train']}`"]
    cells += [f"{np.median([run['first'] for run in record['safe']]):.0f}"]
    for name in ("safe", "plain"):
        mean, best = (np.median([run[key] for run in record[name]]) for key in ("mean", "best"))
        cells += [f"{mean:.0f} ({best:.0f})"]
    return "| " + " | ".join([*cells, f"{better}, {worse}", f"{wilcoxon(safe, plain).pvalue:.2g}"]) + " |"


def main() -> None:
    """Train if asked for, then evolve with each operator."""
    parser = argparse.ArgumentParser()
    parser.add_argument("env")
    parser.add_argument("--train", type=int, default=0, help="steps of PPO before")
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help=f"write the results into {RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record: dict[str, Any] = {"train": options.train, "generations": options.generations}
    record |= {"safe": [], "plain": []}
    for seed in range(1, options.seeds + 1):
        for name, run in compare(options.env, options.train, options.generations, seed).items():
            record[name].append(run)
            print(
                f"seed {seed}, {name}: mean return {run['first']:.0f} at first; "
                f"of the last generation {run['mean']:.0f}, its best {run['best']:.0f}",
                flush=True,
            )
        if options.save:
            save(options.env, record, RESULTS)
    print(row(options.env, record))


if __name__ == "__main__":
    main()
