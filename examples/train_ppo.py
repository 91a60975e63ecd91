"""Reinforcement learning in the paper's mazes: PPO of Stable-Baselines3 on a native vector environment.

    python examples/train_ppo.py breadcrumb-hard-maze
    python examples/train_ppo.py topdown-maze

Writes the learning curve, learning_curve.csv and learning_curve.png, and the trained model.zip into
runs/ppo-NAME, or where --output says. Needs `pip install stable-baselines3`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from matplotlib.figure import Figure
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecMonitor, VecNormalize

import gym_safemaze  # noqa: F401  (registers the environments)
from gym_safemaze.sb3 import SB3VecEnv


class BlockFeatures(BaseFeaturesExtractor):
    """Reads each 21 x 21 block of the stacked top-down views by itself, then all blocks together."""

    def __init__(self, observation_space: gym.Space, features_dim: int = 64) -> None:
        super().__init__(observation_space, features_dim)
        views = observation_space.shape[0]  # type: ignore[index]
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(views, 16, kernel_size=21, stride=21),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 9, features_dim),
            torch.nn.ReLU(),
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return features (N, features_dim) of views (N, V, 64, 64)."""
        return self.layers(observations)


def hard_maze() -> VecEnv:
    """32 robots whose actions in [-1, 1] are held for three frames, as in the paper."""
    envs: gym.vector.VectorEnv = gym.make_vec(
        "safemaze/BreadcrumbHardMaze-v0", num_envs=32, frame_skip=3, autoreset_mode="SameStep"
    )
    symmetric = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    envs = gym.wrappers.vector.TransformAction(
        envs,
        lambda actions: (actions + 1.0) / 2.0,
        single_action_space=symmetric,
        action_space=gym.vector.utils.batch_space(symmetric, envs.num_envs),
    )
    return VecNormalize(watched(envs), norm_obs=False)


def topdown_maze() -> VecEnv:
    """64 walkers that see their last eight views, since one view does not tell where they are."""
    envs = gym.make_vec("safemaze/TopdownMaze-v0", num_envs=64, autoreset_mode="SameStep")
    return VecFrameStack(watched(envs), n_stack=8)


def watched(envs: gym.vector.VectorEnv) -> VecEnv:
    """Hand the lanes to Stable-Baselines3 and note fitness and success at the end of each episode."""
    return VecMonitor(SB3VecEnv(envs), info_keywords=("fitness", "solved"))


@dataclass(frozen=True)
class Task:
    """An environment and how to train in it.

    Args:
        make: makes the environment.
        steps: decisions, over all lanes, to train for.
        settings: arguments of PPO.
    """

    make: Callable[[], VecEnv]
    steps: int
    settings: dict[str, Any]


TASKS = {
    "breadcrumb-hard-maze": Task(
        hard_maze, 600_000, {"policy": "MlpPolicy", "n_steps": 134, "batch_size": 536, "gamma": 0.99}
    ),
    "topdown-maze": Task(
        topdown_maze,
        300_000,
        {
            "policy": "CnnPolicy",
            "n_steps": 80,
            "batch_size": 512,
            "gamma": 0.98,
            "ent_coef": 0.01,
            "n_epochs": 4,
            "policy_kwargs": {"features_extractor_class": BlockFeatures},
        },
    ),
}


class LearningCurve(BaseCallback):
    """Notes, after each rollout, the mean fitness and the share of solved among the last 100 episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, float, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = list(self.model.ep_info_buffer or [])
        if episodes:
            fitness, solved = (
                float(np.mean([episode[key] for episode in episodes])) for key in ("fitness", "solved")
            )
            self.rows.append((self.num_timesteps, fitness, solved))


def write_curve(folder: Path, name: str, rows: list[tuple[int, float, float]]) -> None:
    """Write the learning curve as CSV and as a picture."""
    with (folder / "learning_curve.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["steps", "mean_fitness", "share_solved"])
        table.writerows((steps, f"{fitness:.2f}", f"{solved:.3f}") for steps, fitness, solved in rows)
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    steps, fitness, _ = np.array(rows).T
    axes.plot(steps, fitness, color="#2665bd")
    axes.set(
        xlabel="decisions, all lanes together", ylabel="mean fitness of 100 episodes", title=f"PPO in {name}"
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "learning_curve.png", dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Train and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--steps", type=int, help="decisions to train for, over all lanes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="folder for the results (default runs/ppo-TASK)")
    options = parser.parse_args(arguments)
    task = TASKS[options.task]
    folder = options.output or Path("runs") / f"ppo-{options.task}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = PPO(env=task.make(), seed=options.seed, device="cpu", verbose=1, **task.settings)
    curve = LearningCurve()
    model.learn(options.steps or task.steps, callback=curve)
    model.save(folder / "model")
    write_curve(folder, options.task, curve.rows)
    first, last = curve.rows[0], curve.rows[-1]
    print(f"mean fitness {first[1]:.1f} -> {last[1]:.1f}, solved {last[2]:.0%}; results in {folder}")


if __name__ == "__main__":
    main()
