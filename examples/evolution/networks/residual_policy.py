"""Decisions of fully connected tanh networks with skips, compiled.

These networks are so large that one of them fills a processor's cache: they are computed one after the
other, and a rollout is fastest for one network at a time. What takes the time is reading the weights, so
they lie on cache lines in the order in which they are read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import ZERO, sigmoid, tanh
from evolution.networks.layout import round_up
from evolution.networks.tiles import LANES, add_weighted, aligned_zeros, load_tile, store_tile
from gym_safemaze.jit import kernel

SHARING = 3  # vectors of units that share the inputs they read, as long as so many are left
TOGETHER = SHARING * LANES


class ResidualPolicy:
    """Tanh networks with sigmoid outputs, one per genome.

    Args:
        genomes: (N, P) float32, each layer's weight row by row and then its bias.
        widths: Units of every layer, input and output included.
        skip_every: Add the activations of so many layers before, from the first hidden layer on.
    """

    def __init__(self, genomes: np.ndarray, widths: list[int], skip_every: int) -> None:
        # Every layer is padded to whole vectors with units whose weights are zero.
        self.padded_widths = np.array([round_up(width, LANES) for width in widths])
        fan_in, fan_out = self.padded_widths[:-1], self.padded_widths[1:]
        self.weights = aligned_zeros(len(genomes), int(fan_out @ (1 + fan_in)))
        _pack_all(genomes, np.array(widths), self.padded_widths, self.weights)
        self.skip_every = skip_every
        self.outputs = widths[-1]
        self.units = aligned_zeros(3, int(self.padded_widths.max()))

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Map one observation of each network (N, in) to outputs (N, out), float32."""
        outputs = np.empty((len(observations), self.outputs), np.float32)
        decide(self.weights, self.padded_widths, self.skip_every, observations, self.units, outputs)
        return outputs


@kernel
def _together(unit: int, units: int) -> int:
    """How many units of a padded layer are computed together from one on."""
    return TOGETHER if unit + TOGETHER <= units else LANES


@kernel
def _pack_all(genomes: Any, widths: Any, padded: Any, packed: Any) -> None:
    """Write for units that are computed together their biases, and their weights input by input."""
    for n in range(len(genomes)):
        start = at = 0
        for layer in range(len(widths) - 1):
            fan_in, fan_out = widths[layer], widths[layer + 1]
            unit = 0
            while unit < fan_out:
                together = _together(unit, padded[layer + 1])
                number = min(together, fan_out - unit)
                biases = genomes[n, start + fan_in * fan_out + unit :]
                for k in range(number):
                    packed[n, at + k] = biases[k]
                for j in range(fan_in):
                    weights = genomes[n, start + unit * fan_in + j :]
                    for k in range(number):
                        packed[n, at + (1 + j) * together + k] = weights[k * fan_in]
                at += (1 + padded[layer]) * together
                unit += together
            start += (fan_in + 1) * fan_out


@kernel
def decide(weights: Any, widths: Any, skip_every: int, observations: Any, units: Any, outputs: Any) -> None:
    """Write outputs (N, out) for weights (N, ...) and observations (N, in); units is scratch."""
    hidden = len(widths) - 2
    x, z, saved = units[0], units[1], units[2]
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
    unit = 0
    while unit < fan_out:
        together = _together(unit, fan_out)
        if together == TOGETHER:
            biases = load_tile(weights, start, 0, 1, SHARING)
            store_tile(_add_inputs(biases, x, fan_in, weights, start, together), z, unit, 0)
        else:
            bias = load_tile(weights, start, 0, 1, 1)
            store_tile(_add_inputs(bias, x, fan_in, weights, start, together), z, unit, 0)
        start += (1 + fan_in) * together
        unit += together
    return start


@kernel
def _add_inputs(tile: Any, x: Any, fan_in: int, weights: Any, start: int, step: int) -> Any:
    """Add to a tile the weighted inputs x, of weights ``step`` apart behind ``start``."""
    for j in range(fan_in):
        tile = add_weighted(tile, x, j, 0, weights, start + (1 + j) * step)
    return tile
