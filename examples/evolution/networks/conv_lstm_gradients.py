"""Outputs of ConvLSTM networks as torch's autograd sees them."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from evolution.networks import lstm_head
from evolution.networks.picture_gradients import PicturePass
from evolution.networks.picture_passes import picture_pass

_IN_USE = threading.local()  # its ``passes``, which go when nothing else refers to them


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


class CompiledPasses:
    """N genomes' ways through I films each on this processor, one after the other.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
        pictures: (N, I, D, 64, 64) uint8.
        order: (N, I, T).

    Attributes:
        outputs: (N, I, T, 5).
    """

    def __init__(self, genomes: Tensor, depth: int, pictures: Tensor, order: Tensor) -> None:
        self._depth = depth
        self._inputs = genomes.detach().clone(), pictures.clone(), order.clone()
        films = zip(_array(genomes), pictures.numpy(), order.numpy(), strict=True)
        self._passes = [
            [Pass(genome, depth, *film) for film in zip(*of_genome, strict=True)]
            for genome, *of_genome in films
        ]
        self.outputs = np.array([[one.outputs for one in row] for row in self._passes])

    @classmethod
    def of(cls, genomes: Tensor, depth: int, pictures: Tensor, order: Tensor) -> CompiledPasses:
        """Passes of the same that this thread has in use, or new ones.

        Who asks for both derivatives, as SM-G-SO does, has the convolutions computed once.
        """
        if not hasattr(_IN_USE, "passes"):
            _IN_USE.passes = weakref.WeakSet()
        for passes in list(_IN_USE.passes):
            if passes.is_of(genomes, depth, pictures, order):
                return passes
        passes = cls(genomes, depth, pictures, order)
        _IN_USE.passes.add(passes)
        return passes

    def is_of(self, genomes: Tensor, depth: int, pictures: Tensor, order: Tensor) -> bool:
        """Whether they were made of these."""
        pairs = zip(self._inputs, (genomes.detach(), pictures, order), strict=True)
        return self._depth == depth and all(_same(ours, theirs) for ours, theirs in pairs)

    def tangents(self, directions: Tensor) -> np.ndarray:
        """Changes of the outputs (N, I, T, 5) when the genomes move along directions (N, P)."""
        pairs = zip(self._passes, _array(directions), strict=True)
        return np.array([[one.tangents(direction) for one in row] for row, direction in pairs])

    def gradients(self, cotangents: np.ndarray) -> np.ndarray:
        """The vector-Jacobian products (N, P) of cotangents (N, I, T, 5) of the outputs."""
        found = []
        for row, of_outputs in zip(self._passes, cotangents, strict=True):
            gradient = np.zeros_like(row[0].convolutions.genome)
            for one, of_sequence in zip(row, of_outputs, strict=True):
                one.add_gradients(of_sequence, gradient)
            found.append(gradient)
        return np.array(found)


class DevicePasses:
    """The same with all convolutions at once where the genomes are; what follows them is compiled here, too.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
        pictures: (N, I, D, 64, 64) uint8, in the same place.
        order: (N, I, T).

    Attributes:
        outputs: (N, I, T, 5).
    """

    def __init__(self, genomes: Tensor, depth: int, pictures: Tensor, order: Tensor) -> None:
        self._order = order.cpu().numpy()
        used = pictures[:, :, : int(self._order.max()) + 1]
        self._shape = *used.shape[:3], -1
        self.convolutions = picture_pass(genomes, depth, used.flatten(1, 2))
        packed = lstm_head.pack(_array(genomes[:, -lstm_head.WEIGHTS :]))
        features = self._in_order(self.convolutions.features)
        self._heads = [
            [lstm_head.HeadPass(one, seen) for seen in row] for one, row in zip(packed, features, strict=True)
        ]
        self.outputs = np.array([[head.outputs for head in row] for row in self._heads])

    def tangents(self, directions: Tensor) -> np.ndarray:
        """Changes of the outputs (N, I, T, 5) when the genomes move along directions (N, P)."""
        packed = lstm_head.pack(_array(directions[:, -lstm_head.WEIGHTS :]))
        changes = self._in_order(self.convolutions.tangents(directions))
        return np.array(
            [
                [head.tangents(one, change) for head, change in zip(heads, row, strict=True)]
                for one, heads, row in zip(packed, self._heads, changes, strict=True)
            ]
        )

    def gradients(self, cotangents: np.ndarray) -> Tensor:
        """The vector-Jacobian products (N, P) of cotangents (N, I, T, 5) of the outputs."""
        number, films, distinct, _ = self._shape
        of_features = np.zeros((number, films, distinct, lstm_head.INPUTS), np.float32)
        of_heads = np.zeros((number, lstm_head.WEIGHTS), np.float32)
        for n, heads in enumerate(self._heads):
            for i, head in enumerate(heads):
                of_head, of_steps = head.gradients(cotangents[n, i])
                of_heads[n] += of_head
                np.add.at(of_features[n, i], self._order[n, i], of_steps)
        there = self.convolutions.features.device
        of_convolutions = self.convolutions.gradients(
            torch.as_tensor(of_features, device=there).flatten(1, 2)
        )
        return torch.cat([of_convolutions, torch.as_tensor(of_heads, device=there)], 1)

    def _in_order(self, features: Tensor) -> np.ndarray:
        """Features of the pictures (N, I * D, 12) as those of the steps (N, I, T, 12)."""
        distinct = features.cpu().numpy().reshape(self._shape)
        return np.take_along_axis(distinct, self._order[..., None], axis=2)


class Outputs(Function):
    """Outputs (N, I, T, 5) of genomes (N, P), pictures (N, I, D, 64, 64) and order (N, I, T) for autograd.

    There is one backward derivative (J'u) and one forward (J v).
    """

    @staticmethod
    def forward(ctx: Any, params: Tensor, pictures: Tensor, order: Tensor, depth: int) -> Tensor:
        """Compute the outputs, keeping what the derivatives need."""
        make = CompiledPasses.of if params.is_cpu else DevicePasses
        ctx.passes = make(params.detach(), depth, pictures, order)
        return torch.as_tensor(ctx.passes.outputs).to(params)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> tuple[Tensor | None, ...]:
        """J'u (N, P) of cotangents u (N, I, T, 5)."""
        return torch.as_tensor(ctx.passes.gradients(_array(cotangents))).to(cotangents), None, None, None

    @staticmethod
    def jvp(ctx: Any, direction: Tensor, *unused: None) -> Tensor:
        """J v (N, I, T, 5) of a direction v (N, P)."""
        return torch.as_tensor(ctx.passes.tangents(direction.detach())).to(direction)


def _same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and bool((left == right).all())


def _array(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)
