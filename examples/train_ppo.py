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
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack, VecMonitor, VecNormalize

import gym_safemaze  # noqa: F401  (registers the environments)
from gym_safemaze.sb3 import SB3VecEnv


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


class BlocksOnly(VecEnvWrapper):
    """Keeps one pixel of each of the nine blocks of a top-down view: nine numbers, 1 free and 0 wall."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv, observation_space=gym.spaces.Box(0.0, 1.0, (9,), np.float32))

    def reset(self) -> np.ndarray:
        """Start episodes."""
        return self._blocks(self.venv.reset())

    def step_wait(self) -> tuple:
        """Finish a step."""
        views, rewards, ends, infos = self.venv.step_wait()
        for lane in np.flatnonzero(ends):
            infos[lane]["terminal_observation"] = self._blocks(infos[lane]["terminal_observation"][None])[0]
        return self._blocks(views), rewards, ends, infos

    def _blocks(self, views: Any) -> np.ndarray:
        return (views[:, 10::21, 10::21, 0] / 255.0).reshape(-1, 9).astype(np.float32)


def topdown_maze() -> VecEnv:
    """64 walkers that remember their last 16 views, since one view does not tell where they are."""
    envs = gym.make_vec("safemaze/TopdownMaze-v0", num_envs=64, autoreset_mode="SameStep")
    return VecFrameStack(BlocksOnly(watched(envs)), n_stack=16)


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
        hard_maze, 1_500_000, {"policy": "MlpPolicy", "n_steps": 134, "batch_size": 536, "gamma": 0.99}
    ),
    "topdown-maze": Task(
        topdown_maze,
        500_000,
        {"policy": "MlpPolicy", "n_steps": 80, "batch_size": 512, "gamma": 0.98, "ent_coef": 0.02},
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
    steps = task.steps if options.steps is None else options.steps
    if steps < 1:
        parser.error(f"expected --steps of at least 1, got {steps}")
    folder = options.output or Path("runs") / f"ppo-{options.task}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot write to {folder}: {error.strerror}")
    torch.set_num_threads(1)
    model = PPO(env=task.make(), seed=options.seed, device="cpu", verbose=1, **task.settings)
    curve = LearningCurve()
    model.learn(steps, callback=curve)
    model.save(folder / "model")
    write_curve(folder, options.task, curve.rows)
    first, last = curve.rows[0], curve.rows[-1]
    print(f"mean fitness {first[1]:.1f} -> {last[1]:.1f}, solved {last[2]:.0%}; results in {folder}")


if __name__ == "__main__":
    main()
