"""Outputs of compiled ConvLSTM networks as torch's autograd sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from evolution.networks import lstm_head
from evolution.networks.picture_gradients import PicturePass


class Pass:
    """One genome's way through one film, kept for its derivatives.

    Args:
        genome: (P,) float32.
        depth: See ``ConvLSTM``.
        pictures: (D, 64, 64) uint8.
        order: (T,).

    Attributes:
        outputs: (T, 5).
    """

    def __init__(self, genome: np.ndarray, depth: int, pictures: np.ndarray, order: np.ndarray) -> None:
        used, self.order = np.unique(order, return_inverse=True)
        self.convolutions = PicturePass(genome, depth, np.ascontiguousarray(pictures[used]))
        packed = lstm_head.pack(genome[None, -lstm_head.WEIGHTS :])[0]
        self.head = lstm_head.HeadPass(packed, self.convolutions.features[self.order])
        self.outputs = self.head.outputs

    def tangents(self, direction: np.ndarray) -> np.ndarray:
        """Changes of the outputs (T, 5) when the genome moves along a direction (P,)."""
        packed = lstm_head.pack(direction[None, -lstm_head.WEIGHTS :])[0]
        return self.head.tangents(packed, self.convolutions.tangents(direction)[self.order])

    def add_gradients(self, cotangents: np.ndarray, gradient: np.ndarray) -> None:
        """Add to a gradient (P,) the vector-Jacobian product of cotangents (T, 5) of the outputs."""
        of_head, of_steps = self.head.gradients(cotangents)
        gradient[-lstm_head.WEIGHTS :] += of_head
        of_features = np.zeros_like(self.convolutions.features)
        np.add.at(of_features, self.order, of_steps)  # cotangents of equal pictures add up
        self.convolutions.add_gradients(of_features, gradient)


class Outputs(Function):
    """Outputs (N, I, T, 5) of genomes (N, P), pictures (N, I, D, 64, 64) and order (N, I, T) for autograd.

    There is one backward derivative (J'u) and one forward (J v).
    """

    @staticmethod
    def forward(ctx: Any, params: Tensor, pictures: Tensor, order: Tensor, depth: int) -> Tensor:
        """Compute the outputs, keeping what the derivatives need."""
        films = zip(_array(params), pictures.numpy(), order.numpy(), strict=True)
        ctx.passes = [
            [Pass(genome, depth, *film) for film in zip(*of_genome, strict=True)]
            for genome, *of_genome in films
        ]
        return _stack([[one.outputs for one in row] for row in ctx.passes], params)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> tuple[Tensor | None, ...]:
        """J'u (N, P) of cotangents u (N, I, T, 5)."""
        found = []
        for row, of_outputs in zip(ctx.passes, _array(cotangents), strict=True):
            gradient = np.zeros_like(row[0].convolutions.genome)
            for one, of_sequence in zip(row, of_outputs, strict=True):
                one.add_gradients(of_sequence, gradient)
            found.append(gradient)
        return _stack(found, cotangents), None, None, None

    @staticmethod
    def jvp(ctx: Any, direction: Tensor, *unused: None) -> Tensor:
        """J v (N, I, T, 5) of a direction v (N, P)."""
        pairs = zip(ctx.passes, _array(direction), strict=True)
        return _stack([[one.tangents(change) for one in row] for row, change in pairs], direction)


def _array(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)


def _stack(rows: Any, like: Tensor) -> Tensor:
    return torch.from_numpy(np.array(rows)).to(like.dtype)
