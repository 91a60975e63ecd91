"""The paper's feed-forward networks: the deep one of the hard maze and the large-scale residual ones.

Inside, activations are kept feature-major, (N, features, I), because ``baddbmm`` is several times
faster that way on narrow layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import groupby, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from evolution.networks.dense_policy import DensePolicy
from evolution.networks.device_policy import DevicePolicy, Policy, RecordedPolicy
from evolution.networks.layout import as_batch, decidable, uniform, xavier_normal
from evolution.networks.padded_layers import PaddedLayers
from evolution.networks.residual_policy import ResidualPolicy


class FeedForward:
    """A stack of fully connected layers with sigmoid outputs.

    Args:
        widths: Units of the input, of each hidden layer and of the output.
        activation: Applied after every layer but the last.
        skip_every: Add the activations of so many layers before, from the first hidden layer on; 0 for none.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Callable[[Tensor], Tensor] = torch.selu,
        skip_every: int = 0,
    ) -> None:
        # Equal layers in a row: (inputs, units, how many).
        self._stacks = [(*shape, len(list(equal))) for shape, equal in groupby(pairwise(widths))]
        self._sizes = [number * fan_out * (fan_in + 1) for fan_in, fan_out, number in self._stacks]
        self.num_params = sum(self._sizes)
        self.widths = list(widths)
        self.activation = activation
        self.skip_every = skip_every

    def __repr__(self) -> str:
        layers = "-".join(map(str, self.widths))
        skips = f", skips over {self.skip_every} layers" if self.skip_every else ""
        return f"FeedForward of {layers} units, {self.activation.__name__}{skips}, sigmoid outputs"

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Map genomes (N, P) and inputs (N, I, in) to outputs (N, I, out); also (P,), (I, in) -> (I, out)."""
        single = params.ndim == 1
        params, inputs = as_batch(params, inputs, self.num_params, input_ndim=3)
        *hidden, (weight, bias) = self._layers(params)
        x = saved = inputs.transpose(1, 2)
        for depth, (hidden_weight, hidden_bias) in enumerate(hidden):
            x = self.activation(torch.baddbmm(hidden_bias, hidden_weight, x))
            if self.skip_every and depth % self.skip_every == 0:
                x = saved = x + saved if depth else x
        outputs = torch.sigmoid(torch.baddbmm(bias, weight, x)).transpose(1, 2)
        return outputs[0] if single else outputs

    def module(self) -> nn.Module:
        """The same network as an ordinary module; its parameters, one after the other, are a genome."""
        return FeedForwardModule(self.widths, self.activation, self.skip_every)

    def policy(self, genomes: np.ndarray | Tensor) -> Policy:
        """A function from one observation of each genome (N, in) to outputs (N, out), without gradients.

        Genomes as a tensor are computed by torch where they are.
        """
        genomes = decidable(genomes, self.num_params)
        if isinstance(genomes, Tensor):
            return self._on_device(genomes)
        if self.activation is torch.selu and not self.skip_every:
            return DensePolicy(genomes, self.widths)
        if self.activation is torch.tanh and self.skip_every:
            return ResidualPolicy(genomes, self.widths, self.skip_every)
        params = torch.from_numpy(genomes)

        def decide(observations: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return self(params, torch.from_numpy(observations)[:, None])[:, 0].numpy()

        return decide

    def _on_device(self, genomes: Tensor) -> Policy:
        inputs, *hidden, outputs = self.widths
        equal = len(set(hidden)) == 1 and self.activation in (torch.selu, torch.tanh)
        if genomes.is_cuda and equal and find_spec("triton"):
            from evolution.networks import fused_layers  # Triton comes with torch for GPUs alone

            if max(self.widths) <= fused_layers.BLOCK:
                selu = self.activation is torch.selu
                layers = PaddedLayers.of(genomes, self.widths, selu, self.skip_every)
                shapes = (len(genomes), inputs), (len(genomes), outputs)
                return RecordedPolicy(partial(fused_layers.decide, layers), *shapes, genomes.device)
        return DevicePolicy(lambda seen: self(genomes, seen[:, None])[:, 0], genomes.device)

    def _layers(self, params: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weights (N, out, in) and biases (N, out, 1), as views.

        Equal layers are cut apart together: every cut is an operation of its own, forth and back.
        """
        layers: list[tuple[Tensor, Tensor]] = []
        for part, (fan_in, fan_out, number) in zip(params.split(self._sizes, 1), self._stacks, strict=True):
            each = part if number == 1 else part.view(-1, number, fan_out * (fan_in + 1))
            weights, biases = each.split([fan_out * fan_in, fan_out], -1)
            matrices, columns = weights.unflatten(-1, (fan_out, fan_in)), biases[..., None]
            if number == 1:
                layers.append((matrices, columns))
            else:
                layers += zip(matrices.unbind(1), columns.unbind(1), strict=True)
        return layers

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32: Xavier-normal weights, biases as PyTorch's Linear draws them."""
        parts = []
        for fan_in, fan_out in pairwise(self.widths):
            parts.append(xavier_normal(generator, number, fan_in, fan_out, fan_in * fan_out))
            parts.append(uniform(generator, number, 1 / math.sqrt(fan_in), fan_out))
        return np.concatenate(parts, axis=1)


class FeedForwardModule(nn.Module):
    """``FeedForward`` as one would first write it, for one set of weights."""

    def __init__(
        self, widths: Sequence[int], activation: Callable[[Tensor], Tensor], skip_every: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation, self.skip_every = activation, skip_every

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (I, in) to outputs (I, out)."""
        *hidden, last = self.layers
        saved = x
        for depth, layer in enumerate(hidden):
            x = self.activation(layer(x))
            if self.skip_every and depth % self.skip_every == 0:
                x = saved = x + saved if depth else x
        return torch.sigmoid(last(x))


def hard_maze_network() -> FeedForward:
    """The deep network of the Breadcrumb Hard Maze: 16 hidden-to-hidden SELU layers of 8, 1,266 weights."""
    return FeedForward([11] + 17 * [8] + [2])


def large_scale_network(depth: int, width: int) -> FeedForward:
    """A residual tanh network of the paper's large-scale study: (32, 125), (64, 125) or (101, 48)."""
    return FeedForward([11] + (depth + 1) * [width] + [2], activation=torch.tanh, skip_every=4)
