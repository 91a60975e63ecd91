"""Decisions of N fully connected networks, compiled.

A rollout asks every network for one small output at a time, and there the cost of dispatching some
forty torch operations is many times that of the arithmetic. ``DensePolicy`` computes the outputs of
``networks.FeedForward`` (to float32 rounding, without gradients) for blocks of 16 networks, so that
one vector instruction serves several of them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from evolution.networks.activations import selu, sigmoid
from evolution.networks.layout import round_up
from gym_safemaze.jit import kernel

LANES = 16  # networks in a block; loops of a length that the compiler knows become vector instructions
CHUNK = 8  # inputs added up at a time: every layer is padded with zeros to a multiple of it


class DensePolicy:
    """SELU networks with sigmoid outputs, one per genome.

    Args:
        genomes: (N, P) float32, each layer's weight row by row and then its bias.
        widths: Units of every layer, input and output included.
    """

    skip_every = 0  # no skips

    def __init__(self, genomes: np.ndarray, widths: list[int]) -> None:
        padded = np.zeros((round_up(len(genomes), LANES), genomes.shape[1] + 1), np.float32)
        padded[: len(genomes), :-1] = genomes
        by_block = padded.reshape(-1, LANES, padded.shape[1]).transpose(0, 2, 1)
        self.weights = by_block[:, _padded_order(tuple(widths))].reshape(len(by_block), -1)
        self.padded_widths = np.array([round_up(width, CHUNK) for width in widths])
        self.units = np.zeros((2, self.padded_widths.max() * LANES), np.float32)
        self.outputs = widths[-1]

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Map one observation of each network (N, in) to outputs (N, out), float32."""
        outputs = np.empty((len(observations), self.outputs), np.float32)
        decide(self.weights, self.padded_widths, observations, self.units, outputs)
        return outputs


@lru_cache
def _padded_order(widths: tuple[int, ...]) -> np.ndarray:
    """Where to find each padded weight in a genome: for every unit its bias and its weights.

    The padding is found last, behind the genome, where ``DensePolicy`` puts a zero.
    """
    layers, start = [], 0
    for fan_in, fan_out in pairwise(widths):
        layer = np.full((round_up(fan_out, CHUNK), 1 + round_up(fan_in, CHUNK)), -1)
        bias = start + fan_in * fan_out
        layer[:fan_out, 1 : 1 + fan_in] = np.arange(start, bias).reshape(fan_out, fan_in)
        layer[:fan_out, 0] = np.arange(bias, bias + fan_out)
        layers.append(layer.ravel())
        start = bias + fan_out
    return np.concatenate(layers)


@kernel
def decide(weights, widths, observations, units, outputs):  # type: ignore[no-untyped-def]
    """Write outputs (N, out) for weights (blocks, ...) and observations (N, in); units is scratch."""
    x, z = units[0], units[1]
    for block in range(weights.shape[0]):
        first = block * LANES
        lanes = min(LANES, observations.shape[0] - first)
        for j in range(observations.shape[1]):
            for lane in range(lanes):
                x[j * LANES + lane] = observations[first + lane, j]
        for unused in range(observations.shape[1] * LANES, widths[0] * LANES):
            x[unused] = np.float32(0)
        start = 0
        for layer in range(len(widths) - 1):
            if layer:
                for i in range(widths[layer] * LANES):
                    x[i] = selu(z[i])
            start = _weigh(weights[block], start, widths[layer], widths[layer + 1], x, z)
        for lane in range(lanes):
            for unit in range(outputs.shape[1]):
                outputs[first + lane, unit] = sigmoid(z[unit * LANES + lane])


@kernel
def _weigh(weights, start, fan_in, fan_out, x, z):  # type: ignore[no-untyped-def]
    """Sum up the weighted inputs x of a layer into z; returns where the next layer's weights start."""
    for unit in range(fan_out):
        total, bias = z[unit * LANES : (unit + 1) * LANES], weights[start : start + LANES]
        for i in range(LANES):
            total[i] = bias[i]
        start += LANES
        for chunk in range(0, fan_in, CHUNK):
            w, v = weights[start : start + CHUNK * LANES], x[chunk * LANES : (chunk + CHUNK) * LANES]
            for i in range(LANES):
                total[i] += (  # all in one expression, which stays in registers
                    w[i] * v[i]
                    + w[i + LANES] * v[i + LANES]
                    + w[i + 2 * LANES] * v[i + 2 * LANES]
                    + w[i + 3 * LANES] * v[i + 3 * LANES]
                    + w[i + 4 * LANES] * v[i + 4 * LANES]
                    + w[i + 5 * LANES] * v[i + 5 * LANES]
                    + w[i + 6 * LANES] * v[i + 6 * LANES]
                    + w[i + 7 * LANES] * v[i + 7 * LANES]
                )
            start += CHUNK * LANES
    return start
