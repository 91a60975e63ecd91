"""The paper's networks for pictures: convolutions with SELU, two LSTM layers, five outputs.

``ConvLSTM`` is the network as an ordinary module. ``CompiledConvLSTM`` gives the same numbers for genomes,
many times faster: each distinct picture of a sequence goes through the convolutions once, in compiled loops.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from evolution.networks import lstm_head, picture_maps
from evolution.networks.conv_lstm_gradients import Outputs
from evolution.networks.conv_lstm_policy import ConvLSTMPolicy, outputs_alone
from evolution.networks.film import Film, film
from evolution.networks.layout import decidable, uniform, xavier_normal
from safe_mutation.torch_internals import is_dual

PICTURE = (picture_maps.PICTURE, picture_maps.PICTURE)


class ConvLSTM(nn.Module):
    """Maps sequences of pictures (I, T, 64, 64), gray levels 0 to 255, to outputs (I, T, 5) in [0, 1].

    Args:
        depth: Convolutions of 3 x 3: 12 for the Topdown Maze (25,805 weights), 8 for the First-person Maze
            (20,573).
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        channels, hidden, outputs = picture_maps.CHANNELS, lstm_head.HIDDEN, lstm_head.OUTPUTS
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 5, stride=2), nn.SELU()]
        layers += [nn.Conv2d(channels, channels, 5, stride=2), nn.SELU()]
        for _ in range(depth):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.SELU()]
        self.convolutions = nn.Sequential(*layers)
        self.lstm = nn.LSTM(channels, hidden, num_layers=2, batch_first=True)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute the outputs at every time step; the LSTM's state starts at zero."""
        return torch.sigmoid(self.output(self.lstm(self.features(pictures))[0]))

    def features(self, pictures: Tensor) -> Tensor:
        """What the convolutions make of each picture (I, T, 64, 64): features (I, T, 12)."""
        maps = self.convolutions(pictures.flatten(0, 1)[:, None].to(self.output.weight.dtype) / 255)
        return maps.mean((2, 3)).unflatten(0, pictures.shape[:2])


class CompiledConvLSTM:
    """``ConvLSTM`` for genomes: ``network(params (N, P), pictures (N, I, T, 64, 64)) -> (N, I, T, 5)``.

    Computed in float32, compiled on the CPU, by torch elsewhere; differentiable in params, forwards and
    backwards, once.

    Args:
        depth: See ``ConvLSTM``.

    Attributes:
        num_params: Length P of a genome, which lists the weights as ``ConvLSTM`` registers them.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.num_params = picture_maps.count_weights(depth) + lstm_head.WEIGHTS

    def __repr__(self) -> str:
        return f"CompiledConvLSTM(depth={self.depth})"

    def __call__(self, params: Tensor, inputs: Tensor | Film) -> Tensor:
        """Compute the outputs at every time step.

        Args:
            params: Genomes (N, P), or one genome (P,).
            inputs: Sequences of pictures (N, I, T, 64, 64), uint8, or a film: pictures (N, I, D, 64, 64) in
                the order (N, I, T). Without the N all genomes see the same.

        Returns:
            Outputs (N, I, T, 5), or (I, T, 5) of one genome.

        Raises:
            ValueError: If a shape is another one.
            TypeError: If genomes or pictures are of another dtype.
        """
        if params.ndim not in (1, 2) or params.shape[-1] != self.num_params:
            p = self.num_params
            raise ValueError(f"expected genomes of shape ({p},) or (N, {p}), got {tuple(params.shape)}")
        if params.dtype != torch.float32:
            raise TypeError(
                f"expected genomes of dtype float32, got {params.dtype}; "
                "FlatNetwork(network.module()) computes in any"
            )
        pictures, order = _pictures_and_order(inputs)
        if pictures.dtype != torch.uint8:
            raise TypeError(f"expected pictures of dtype uint8, got {pictures.dtype}")
        shape, seen = tuple(pictures.shape), tuple(order.shape)
        if shape[-2:] != PICTURE or shape[:-3] != seen[:-1] or len(seen) not in (2, 3):
            raise ValueError(
                "expected pictures of shape (N, I, T, 64, 64), or pictures (N, I, D, 64, 64) in the order "
                f"(N, I, T), got {shape} in the order {seen}"
            )
        genomes = params if params.ndim == 2 else params[None]
        if len(seen) == 2:
            pictures, order = (values.expand(len(genomes), *values.shape) for values in (pictures, order))
        if len(order) != len(genomes):
            raise ValueError(f"expected pictures for {len(genomes)} genomes, got them for {len(order)}")
        derived = (torch.is_grad_enabled() and genomes.requires_grad) or is_dual(genomes)
        compute = Outputs.apply if derived or not genomes.is_cpu else outputs_alone
        outputs = compute(genomes, pictures, order, self.depth)
        return outputs if params.ndim == 2 else outputs[0]

    def module(self) -> ConvLSTM:
        """The same network as an ordinary module; its parameters, one after the other, are a genome."""
        return ConvLSTM(self.depth)

    def policy(self, genomes: np.ndarray | Tensor) -> ConvLSTMPolicy:
        """Let genomes (N, P) look at one picture each, step after step, and decide; without gradients.

        Genomes as a tensor are convolved by torch where they are.
        """
        return ConvLSTMPolicy(decidable(genomes, self.num_params), self.depth)

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32.

        Weights of convolutions and of the output are Xavier-normal (with no receptive-field factor in
        fan_out, as in the published code), biases and LSTM layers as PyTorch draws them.
        """
        channels, hidden, outputs = picture_maps.CHANNELS, lstm_head.HIDDEN, lstm_head.OUTPUTS
        parts = []
        for fan_in in (25, 25 * channels, *self.depth * [9 * channels]):
            parts.append(xavier_normal(generator, number, fan_in, channels, channels * fan_in))
            parts.append(uniform(generator, number, 1 / math.sqrt(fan_in), channels))
        cells = lstm_head.WEIGHTS - (hidden + 1) * outputs
        parts.append(uniform(generator, number, 1 / math.sqrt(hidden), cells))
        parts.append(xavier_normal(generator, number, hidden, outputs, hidden * outputs))
        parts.append(uniform(generator, number, 1 / math.sqrt(hidden), outputs))
        return np.concatenate(parts, axis=1)


def _pictures_and_order(inputs: Tensor | Film) -> tuple[Tensor, Tensor]:
    if isinstance(inputs, Tensor):
        if inputs.ndim < 4 or 0 in inputs.shape:
            raise ValueError(f"expected pictures of shape (N, I, T, 64, 64), got {tuple(inputs.shape)}")
        return inputs, torch.from_numpy(film(inputs.cpu().numpy())["order"])
    if not isinstance(inputs, dict) or inputs.keys() != {"pictures", "order"}:
        given = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise TypeError(f"expected pictures, or a film with 'pictures' and 'order', got {given}")
    if not all(isinstance(values, Tensor) for values in inputs.values()):
        kinds = " and ".join(type(values).__name__ for values in inputs.values())
        raise TypeError(f"expected a film of tensors, got {kinds}: torch.from_numpy makes them")
    return inputs["pictures"], inputs["order"]


def topdown_network() -> CompiledConvLSTM:
    """The network of the Topdown Maze: 25,805 weights."""
    return CompiledConvLSTM(depth=12)


def first_person_network() -> CompiledConvLSTM:
    """The network of the First-person 3D Maze: 20,573 weights."""
    return CompiledConvLSTM(depth=8)
