"""A hundred children of a policy trained by stable-baselines3: how much of its return does each keep?

    pip install ./safe_mutation ./gym_safemaze stable-baselines3==2.9.2 sb3-contrib==2.9.2 matplotlib
    python examples/other_libraries/stable_baselines3_mutants.py ppo --output mutants

PPO learns CartPole (``recurrent``: RecurrentPPO with an LSTM does; ``cnn``: PPO with a CnnPolicy learns a
maze from pictures). Then ``op.mutate_`` mutates copies of the policy, by the default operator's direction, by
SM-G-SUM's and by a random one, all until the outputs have changed as much. For each of the first a control
child takes a step of the same length in a random direction, in the same weights.
"""

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from torch import Tensor

import gym_safemaze  # noqa: F401  (registers the environments)
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation, SMGSum

CHILDREN, EPISODES = 100, 1
DIVERGENCE = 0.1  # of the log-probabilities
STAIRS = [  # a view of 3 x 3 squares tells where to go: no memory is needed
    "#############",
    "#Sxx#.##.####",
    "#.#xxxx#.#..#",
    "#.####x..#.##",
    "##..##xxxx..#",
    "###.#..##x#.#",
    "#.#...#..xx##",
    "#...###.##x.#",
    "#.#.....#.xx#",
    "#.####.##.#x#",
    "####...#..#x#",
    "#############",
]


def log_probabilities(policy: Any, observations: Tensor) -> Tensor:
    """Of the actions, for observations (I, ...): what matters of an actor-critic."""
    return policy.get_distribution(observations).distribution.logits


def log_probabilities_over_time(policy: Any, observations: Tensor) -> Tensor:
    """Of the actions, at every step of whole episodes (I, T, 4)."""
    lstm, starts = policy.lstm_actor, observations.new_zeros(observations.shape[:2]).flatten()
    zeros = observations.new_zeros(lstm.num_layers, len(observations), lstm.hidden_size)
    distribution, _ = policy.get_distribution(observations.flatten(0, 1), (zeros, zeros), starts)
    return distribution.distribution.logits.unflatten(0, observations.shape[:2])


def train(kind: str, seed: int) -> tuple[Any, Callable]:
    """A model that has learned its task, and how to read its policy's outputs."""
    if kind == "recurrent":
        model = RecurrentPPO(
            "MlpLstmPolicy", "CartPole-v1", seed=seed, device="cpu", policy_kwargs={"lstm_hidden_size": 32}
        )
        return model.learn(25_000), log_probabilities_over_time
    if kind == "cnn":
        maze = gym.make("safemaze/TopdownMaze-v0", maze=STAIRS)
        seeing = PPO("CnnPolicy", maze, seed=seed, device="cpu", n_steps=512, n_epochs=4)
        return seeing.learn(20_000), log_probabilities
    return PPO("MlpPolicy", "CartPole-v1", seed=seed, device="cpu").learn(25_000), log_probabilities


def episode(model: Any) -> np.ndarray:
    """What the model sees in one episode (T, ...)."""
    env = model.get_env()
    observation, state, starts = env.reset(), None, np.ones(1, dtype=bool)
    seen: list[np.ndarray] = []
    while not seen or not starts.any():
        seen.append(observation[0])
        action, state = model.predict(observation, state=state, episode_start=starts, deterministic=True)
        observation, _, starts, _ = env.step(action)
    return np.stack(seen)


def mean_return(model: Any, policy: Any) -> float:
    """Of the model with another policy in its place."""
    own, model.policy = model.policy, policy
    returns, _ = evaluate_policy(model, model.get_env(), EPISODES, return_episode_rewards=True, warn=False)
    model.policy = own
    return float(np.mean(returns))


def step_of_length(length: float, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In a random direction, among the weights of a mask (P,)."""
    noise = rng.normal(size=mask.shape) * mask
    return (length / np.linalg.norm(noise) * noise).astype(np.float32)


def interval(shares: list[float]) -> list[float]:
    """95 % bootstrap interval of the mean."""
    draws = np.random.default_rng(0).choice(shares, (10_000, len(shares))).mean(axis=1)
    return np.quantile(draws, [0.025, 0.975]).round(3).tolist()


def main() -> None:
    """Train, mutate, evaluate, draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["ppo", "recurrent", "cnn"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="mutants", help="path without .json and .png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, forward = train(options.kind, options.seed)
    model.policy.set_training_mode(False)
    experiences = episode(model)[:200]
    if options.kind == "recurrent":
        whole = len(experiences) // 50 * 50
        experiences = experiences[:whole].reshape(-1, 50, 4)  # sequences; in each the LSTM starts anew
    network = FlatNetwork(model.policy, forward=forward)
    settings: dict[str, Any] = {
        "divergence": DIVERGENCE,
        "experiences": experiences,
        "mask": network.reaching(experiences),
    }
    op = SMGSO(network, **settings)
    others = {"SM-G-SUM": SMGSum(network, **settings), "random": GaussianMutation(network, **settings)}
    parent, rng = network.flatten().numpy(), np.random.default_rng(options.seed)
    another_rng = np.random.default_rng([options.seed, 1])
    parent_return = mean_return(model, model.policy)
    shares: dict[str, list[float]] = {name: [] for name in ("safe", *others, "control")}
    for _ in range(CHILDREN):
        child = op.mutate_(copy.deepcopy(model.policy), generator=rng)
        length = np.linalg.norm(network.flatten(child).numpy() - parent)
        control = network.to_module(parent + step_of_length(float(length), op.mask.numpy(), rng))
        children = {"safe": child, "control": control}
        for name, other in others.items():
            children[name] = other.mutate_(copy.deepcopy(model.policy), generator=another_rng)
        for name, policy in children.items():
            shares[name].append(round(mean_return(model, policy) / parent_return, 3))
    results: dict[str, Any] = {"return": parent_return}
    for name, kept in shares.items():
        results[name] = {"mean": float(np.mean(kept)), "interval": interval(kept), "shares": kept}
        print(f"{name}: keeps {np.mean(kept):.2f} of {parent_return:.0f}, 95 % interval {interval(kept)}")
    Path(f"{options.output}.json").write_text(json.dumps(results) + "\n")
    draw(shares, f"{options.output}.png")


def draw(shares: dict[str, list[float]], path: str) -> None:
    """How many of the children keep at least which share."""
    figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
    for name, kept in shares.items():
        axes.plot(np.sort(kept)[::-1], np.arange(1, len(kept) + 1) / len(kept), label=name)
    axes.set(xlabel="share of the parent's return", ylabel="children that keep it")
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
