"""The paper's toy model (its supplement 1, figure S1): two weights, one far more sensitive than the other.

The outputs are y0 = 100 w0 x0 and y1 = 0.1 w1 x1, so that a step that suits one weight is a
catastrophe or nothing at all for the other. A hill climber keeps a child when its squared error is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evolution.randomness import Purpose, stream
from safe_mutation import make

GAIN = torch.tensor([100.0, 0.1])
EVALUATIONS = 2000
RECORD_INTERVAL = 20  # evaluations between two recorded errors
SOLVED = 0.01  # error below which the paper calls a task solved


@dataclass(frozen=True)
class Task:
    """Inputs (I, 2); each is its own target."""

    name: str
    inputs: tuple[tuple[float, float], ...]

    @property
    def experiences(self) -> np.ndarray:
        """The inputs as an array (I, 2), float32."""
        return np.array(self.inputs, dtype=np.float32)


# Where the paper's text and its published code define a task differently, both are run.
TASKS = {
    task.name: task
    for task in (
        Task("easy", ((0, 1),)),
        Task("easy (code)", ((0, 1), (0, 1))),
        Task("medium", ((1, 1),)),
        Task("medium (code)", ((1, 0), (0, 1))),
        Task("gradient washout", ((1, 1), (-1, -1))),
    )
}


def toy_network(params: Tensor, inputs: Tensor) -> Tensor:
    """Map weights (N, 2) and inputs (N, I, 2) to outputs (N, I, 2)."""
    return params[:, None] * GAIN * inputs


def squared_error(weights: np.ndarray, task: Task) -> np.ndarray:
    """Error (N,) of weights (N, 2), summed over inputs and outputs."""
    inputs = task.experiences
    outputs = weights[:, None].astype(np.float64) * GAIN.numpy() * inputs
    return np.square(outputs - inputs).sum(axis=(1, 2))


def climb(operator_name: str, task: Task, runs: int, seed: int, evaluations: int = EVALUATIONS) -> np.ndarray:
    """Hill-climb from random weights in [-1, 1].

    Returns:
        The champion's error (runs, 1 + evaluations / 20): at the start and after every 20 evaluations.
    """
    operator: Any = make(operator_name, toy_network, domain="toy")
    starts = [stream(seed, run, 0, Purpose.GENESIS).uniform(-1, 1, 2) for run in range(runs)]
    champions = np.array(starts, dtype=np.float32)
    errors = squared_error(champions, task)
    history = [errors]
    for index in range(1, evaluations + 1):
        noise = [stream(seed, run, index, Purpose.MUTATION) for run in range(runs)]
        children = operator(champions, experiences=task.experiences, generator=noise)
        found = squared_error(children, task)
        better = found < errors
        champions = np.where(better[:, None], children, champions)
        errors = np.where(better, found, errors)
        if index % RECORD_INTERVAL == 0:
            history.append(errors)
    return np.stack(history, axis=1)
