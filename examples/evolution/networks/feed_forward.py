"""The paper's networks, written for a whole batch of genomes at once.

Every network here is called as ``network(params, inputs)`` with one genome per lane,

    params (N, P), inputs (N, I, ...)  ->  outputs (N, I, K)

(or without the leading N for a single genome), and a genome lists the weights in the order in
which the equivalent ``nn.Module`` would register them. Inside, activations are kept
feature-major, (N, features, I), because ``baddbmm`` is several times faster that way on the
narrow layers of these networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from evolution.networks.dense_policy import DensePolicy
from evolution.networks.residual_policy import ResidualPolicy


class Layout:
    """Where each named weight tensor lies inside a flat genome."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self.shapes = shapes
        self.sizes = [math.prod(shape) for shape in shapes.values()]
        self.num_params = sum(self.sizes)

    def views(self, params: Tensor) -> list[Tensor]:
        """Split genomes (N, P) into views of shape (N, *shape), in the layout's order."""
        parts = params.split(self.sizes, dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes.values(), strict=True)]


def linear_shapes(name: str, fan_in: int, fan_out: int) -> dict[str, tuple[int, ...]]:
    """The weight and bias of a fully connected layer."""
    return {f"{name}_weight": (fan_out, fan_in), f"{name}_bias": (fan_out, 1)}


def as_batch(params: Tensor, inputs: Tensor, num_params: int, input_ndim: int) -> tuple[Tensor, Tensor]:
    """Give params and inputs their leading genome axis, refusing genomes of another length."""
    if params.shape[-1] != num_params:
        raise ValueError(
            f"expected genomes of shape ({num_params},) or (N, {num_params}), got {tuple(params.shape)}"
        )
    params = params if params.ndim == 2 else params[None]
    inputs = inputs if inputs.ndim == input_ndim else inputs.expand(len(params), *inputs.shape)
    return params, inputs


class FeedForward:
    """A stack of fully connected layers with sigmoid outputs (paper: hard maze and large-scale networks).

    Args:
        widths: Units of the input, of each hidden layer and of the output.
        activation: Applied after every layer but the last.
        skip_every: Add the activations of so many layers before, from the first hidden layer on; 0 for none.
    """

    def __init__(
        self, widths: list[int], activation: Callable[[Tensor], Tensor] = torch.selu, skip_every: int = 0
    ) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
            shapes |= linear_shapes(f"layer{layer}", fan_in, fan_out)
        self.layout = Layout(**shapes)
        self.num_params = self.layout.num_params
        self.widths = widths
        self.activation = activation
        self.skip_every = skip_every

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

    def policy(self, genomes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """A function from one observation of each genome (N, in) to outputs (N, out), without gradients."""
        if self.activation is torch.selu and not self.skip_every:
            return DensePolicy(genomes, self.widths)
        if self.activation is torch.tanh and self.skip_every:
            return ResidualPolicy(genomes, self.widths, self.skip_every)
        params = torch.from_numpy(genomes)

        def decide(observations: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return self(params, torch.from_numpy(observations)[:, None])[:, 0].numpy()

        return decide

    def _layers(self, params: Tensor) -> list[tuple[Tensor, Tensor]]:
        views = self.layout.views(params)
        return list(zip(views[::2], views[1::2], strict=True))

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32: Xavier-normal weights, biases as PyTorch's Linear draws them."""
        parts = []
        for fan_in, fan_out in pairwise(self.widths):
            parts.append(xavier_normal(generator, number, fan_in, fan_out, fan_in * fan_out))
            parts.append(uniform(generator, number, 1 / math.sqrt(fan_in), fan_out))
        return np.concatenate(parts, axis=1)


class ParityNetwork:
    """Two stacked tanh RNN cells of 20 units and a softmax over two classes (paper: Recurrent Parity).

    An input is a whole bit sequence; the output is the class distribution after its last bit.

    Args:
        outputs: 2, as in the published code (1,342 weights), or 1 as the paper's text has it (1,321
            weights): the probability of odd parity, a sigmoid.
    """

    HIDDEN = 20

    def __init__(self, outputs: int = 2) -> None:
        if outputs not in (1, 2):
            raise ValueError(f"expected 1 or 2 outputs, got {outputs!r}")
        h = self.HIDDEN
        self.outputs = outputs
        self.layout = Layout(
            input1=(h, 1), recurrent1=(h, h), input_bias1=(h, 1), recurrent_bias1=(h, 1),
            input2=(h, h), recurrent2=(h, h), input_bias2=(h, 1), recurrent_bias2=(h, 1),
            **linear_shapes("output", h, outputs),
        )  # fmt: skip
        self.num_params = self.layout.num_params

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Map genomes (N, P) and bits (N, I, T, 1) to probabilities (N, I, K); also without the N."""
        single = params.ndim == 1
        params, inputs = as_batch(params, inputs, self.num_params, input_ndim=4)
        u1, w1, a1, b1, u2, w2, a2, b2, v, c = self.layout.views(params)
        bits = inputs.permute(2, 0, 3, 1)  # (T, N, 1, I)
        bias1, bias2 = a1 + b1, a2 + b2
        h1 = torch.tanh(torch.baddbmm(bias1, u1, bits[0]))  # the hidden state starts at zero
        h2 = torch.tanh(torch.baddbmm(bias2, u2, h1))
        for bit in bits[1:]:
            h1 = torch.tanh(torch.baddbmm(torch.baddbmm(bias1, u1, bit), w1, h1))
            h2 = torch.tanh(torch.baddbmm(torch.baddbmm(bias2, u2, h1), w2, h2))
        totals = torch.baddbmm(c, v, h2)
        squashed = torch.softmax(totals, dim=1) if self.outputs == 2 else torch.sigmoid(totals)
        outputs = squashed.transpose(1, 2)
        return outputs[0] if single else outputs

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32: the cells as PyTorch draws them, the output Xavier-normal."""
        h, k = self.HIDDEN, self.outputs
        cells = uniform(generator, number, 1 / math.sqrt(h), self.num_params - k * h - k)
        output = xavier_normal(generator, number, h, k, k * h)
        return np.concatenate([cells, output, uniform(generator, number, 1 / math.sqrt(h), k)], axis=1)


def xavier_normal(
    generator: np.random.Generator, number: int, fan_in: int, fan_out: int, size: int
) -> np.ndarray:
    """Normal weights of std sqrt(2 / (fan_in + fan_out)), shape (number, size), float32."""
    scale = np.float32(math.sqrt(2 / (fan_in + fan_out)))
    return scale * generator.standard_normal((number, size), dtype=np.float32)


def uniform(generator: np.random.Generator, number: int, bound: float, size: int) -> np.ndarray:
    """Uniform weights in [-bound, bound), shape (number, size), float32."""
    return np.float32(bound) * (2 * generator.random((number, size), dtype=np.float32) - 1)


def hard_maze_network() -> FeedForward:
    """The deep network of the Breadcrumb Hard Maze: 16 hidden-to-hidden SELU layers of 8, 1,266 weights."""
    return FeedForward([11] + 17 * [8] + [2])


def large_scale_network(depth: int, width: int) -> FeedForward:
    """A residual tanh network of the paper's large-scale study: (32, 125), (64, 125) or (101, 48)."""
    return FeedForward([11] + (depth + 1) * [width] + [2], activation=torch.tanh, skip_every=4)
