"""Decisions of fully connected tanh networks with skips, compiled.

These networks are so large that one of them fills a processor's cache: they are computed one after the
other, and a rollout is fastest for one network at a time. Blocks of 16 units share vector instructions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from evolution.networks.activations import ZERO, sigmoid, tanh
from gym_safemaze.jit import kernel

BLOCK = 16  # units computed together: every layer is padded with units of weight zero to a multiple of it
CHUNK = 8  # inputs added up at a time


class ResidualPolicy:
    """Tanh networks with sigmoid outputs, one per genome.

    Args:
        genomes: (N, P) float32, each layer's weight row by row and then its bias.
        widths: Units of every layer, input and output included.
        skip_every: Add the activations of so many layers before, from the first hidden layer on.
    """

    def __init__(self, genomes: np.ndarray, widths: list[int], skip_every: int) -> None:
        self.weights = np.stack([_pack(genome, widths) for genome in genomes])
        self.widths = np.array([_padded(width) for width in widths])
        self.skip_every = skip_every
        self.outputs = widths[-1]
        self._units = np.zeros((3, self.widths.max()), np.float32)

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Map one observation of each network (N, in) to outputs (N, out), float32."""
        outputs = np.empty((len(observations), self.outputs), np.float32)
        _decide(self.weights, self.widths, self.skip_every, observations, *self._units, outputs)
        return outputs


def _padded(width: int) -> int:
    return -(-width // BLOCK) * BLOCK


def _pack(genome: np.ndarray, widths: list[int]) -> np.ndarray:
    """For every block of units their biases, and their weights input by input; padded with zeros."""
    layers, start = [], 0
    for fan_in, fan_out in pairwise(widths):
        layer = np.zeros((_padded(fan_out), 1 + _padded(fan_in)), np.float32)
        bias = start + fan_in * fan_out
        layer[:fan_out, 1 : 1 + fan_in] = genome[start:bias].reshape(fan_out, fan_in)
        layer[:fan_out, 0] = genome[bias : bias + fan_out]
        layers.append(layer.reshape(-1, BLOCK, layer.shape[1]).transpose(0, 2, 1).ravel())
        start = bias + fan_out
    return np.concatenate(layers)


@kernel
def _decide(
    weights: Any, widths: Any, skip_every: int, observations: Any, x: Any, z: Any, saved: Any, outputs: Any
) -> None:
    """Write outputs (N, out) for weights (N, ...) and observations (N, in); x, z and saved are scratch."""
    hidden = len(widths) - 2
    for n in range(len(observations)):
        for j in range(widths[0]):
            x[j] = observations[n, j] if j < observations.shape[1] else ZERO
        w, start = weights[n], 0
        for layer in range(hidden + 1):
            start = _weigh(w, start, widths[layer], widths[layer + 1], x, z)
            if layer < hidden:
                for j in range(widths[layer + 1]):
                    x[j] = tanh(z[j])
                if layer % skip_every == 0:
                    for j in range(widths[layer + 1]):
                        x[j] += saved[j] if layer else ZERO
                        saved[j] = x[j]
        for k in range(outputs.shape[1]):
            outputs[n, k] = sigmoid(z[k])


@kernel
def _weigh(weights: Any, start: int, fan_in: int, fan_out: int, x: Any, z: Any) -> int:
    """Sum up the weighted inputs x of a layer into z; returns where the next layer's weights start."""
    for unit in range(0, fan_out, BLOCK):
        total, bias = z[unit : unit + BLOCK], weights[start : start + BLOCK]
        for i in range(BLOCK):
            total[i] = bias[i]
        start += BLOCK
        for chunk in range(0, fan_in, CHUNK):
            w = weights[start : start + CHUNK * BLOCK]
            x0, x1, x2, x3 = x[chunk], x[chunk + 1], x[chunk + 2], x[chunk + 3]
            x4, x5, x6, x7 = x[chunk + 4], x[chunk + 5], x[chunk + 6], x[chunk + 7]
            for i in range(BLOCK):
                total[i] += (  # all in one expression, which stays in registers
                    w[i] * x0
                    + w[i + BLOCK] * x1
                    + w[i + 2 * BLOCK] * x2
                    + w[i + 3 * BLOCK] * x3
                    + w[i + 4 * BLOCK] * x4
                    + w[i + 5 * BLOCK] * x5
                    + w[i + 6 * BLOCK] * x6
                    + w[i + 7 * BLOCK] * x7
                )
            start += CHUNK * BLOCK
    return start
