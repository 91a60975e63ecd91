"""The paper's toy model (its supplement 1, figure S1): two weights, one far more sensitive than the other.

The outputs are y0 = 100 w0 x0 and y1 = 0.1 w1 x1, so that a step that suits one weight is a
catastrophe or nothing at all for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from evolution.domain import Domain, Evaluation

GAIN = (100.0, 0.1)

# Inputs, each its own target. Where the paper's text and its published code define a task differently, both
# are here.
TASKS = {
    "easy": ((0, 1),),
    "easy (code)": ((0, 1), (0, 1)),
    "medium": ((1, 1),),
    "medium (code)": ((1, 0), (0, 1)),
    "gradient washout": ((1, 1), (-1, -1)),
}


class ToyNetwork:
    """Two weights, each with an input and an output of its own."""

    num_params = 2

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Map weights (N, 2) and inputs (N, I, 2) to outputs (N, I, 2)."""
        return params[:, None] * torch.tensor(GAIN, dtype=params.dtype, device=params.device) * inputs

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw weights (number, 2) uniform in [-1, 1), float32."""
        return generator.uniform(-1, 1, (number, 2)).astype(np.float32)

    def __repr__(self) -> str:
        return f"ToyNetwork of gains {GAIN}"


@dataclass(frozen=True)
class Toy(Domain):
    """Make the outputs equal to the inputs. Fitness is minus the squared error over inputs and outputs.

    Attributes:
        inputs: Inputs and targets (I, 2).
        solved_below: Squared error below which the paper calls a task solved.
    """

    name: ClassVar[str] = "toy"
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        task: {"inputs": inputs} for task, inputs in TASKS.items()
    }

    inputs: tuple[tuple[float, float], ...] = TASKS["easy"]
    solved_below: float = 0.01

    @cached_property
    def network(self) -> ToyNetwork:
        """The two weights."""
        return ToyNetwork()

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Squared errors of the weights (N, 2); behaviour is the outputs (I, 2)."""
        inputs = np.array(self.inputs, dtype=np.float32)
        outputs = genomes[:, None].astype(np.float64) * np.array(GAIN) * inputs
        errors = np.square(outputs - inputs).sum(axis=(1, 2))
        experiences = np.broadcast_to(inputs, (len(genomes), *inputs.shape))
        return Evaluation(-errors, errors < self.solved_below, experiences, outputs)
