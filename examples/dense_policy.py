"""Decisions of N fully connected networks, compiled.

A rollout asks every network for one small output at a time, and there the cost of dispatching some
forty torch operations is many times that of the arithmetic. ``DensePolicy`` computes the outputs of
``networks.FeedForward`` (to float32 rounding, without gradients) with the genomes transposed, so
that one vector instruction serves several networks.
"""

from __future__ import annotations

import math

import numpy as np

from gym_safemaze.jit import kernel

SELU_SCALE = np.float32(1.0507009873554805)
SELU_ALPHA_SCALE = np.float32(1.0507009873554805 * 1.6732632423543772)
POWERS_OF_TWO = (2.0 ** np.arange(-127, 1)).astype(np.float32)
LOG2_E = np.float32(1 / math.log(2))
LN2_HIGH, LN2_LOW = np.float32(0.693145752), np.float32(1.42860677e-6)  # ln 2 in two parts, for exactness
SMALLEST_EXPONENT = np.float32(-80)  # exp(-80) is far below what float32 can tell from 0 beside 1


class DensePolicy:
    """SELU networks with sigmoid outputs, one per genome.

    Args:
        genomes: (N, P) float32, each layer's weight row by row and then its bias.
        widths: Units of every layer, input and output included.
    """

    def __init__(self, genomes: np.ndarray, widths: list[int]) -> None:
        self.weights = np.ascontiguousarray(genomes.T)
        self.widths = np.array(widths)
        self.units = np.empty((2, max(widths), len(genomes)), np.float32)

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Map one observation of each network (N, in) to outputs (N, out), float32."""
        outputs = np.empty((len(observations), self.widths[-1]), np.float32)
        _decide(self.weights, self.widths, observations, self.units, POWERS_OF_TWO, outputs)
        return outputs


@kernel
def _selu(value, powers):  # type: ignore[no-untyped-def]
    """SELU without a call to expm1, which would keep the loop around it from being vectorised.

    expm1(v) = 2^k expm1(r) + (2^k - 1) with v = k ln 2 + r, and a polynomial for the small r.
    """
    negative = value if value < np.float32(0) else np.float32(0)  # 0, too, where the value is nan
    negative = negative if negative > SMALLEST_EXPONENT else SMALLEST_EXPONENT
    k = np.int32(negative * LOG2_E - np.float32(0.5))
    r = (negative - np.float32(k) * LN2_HIGH) - np.float32(k) * LN2_LOW
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(1 / 2)
    scale = powers[k + 127]
    expm1 = scale * ((p * r) * r + r) + (scale - np.float32(1))
    positive = np.float32(0) if value < np.float32(0) else value  # nan stays nan
    return SELU_SCALE * positive + SELU_ALPHA_SCALE * expm1


@kernel
def _decide(weights, widths, observations, units, powers, outputs):  # type: ignore[no-untyped-def]
    """Write outputs (N, out) for weights (P, N) and observations (N, in); units (2, width, N) is scratch."""
    lanes = weights.shape[1]
    x, z = units[0], units[1]
    for lane in range(lanes):
        x[: widths[0], lane] = observations[lane]
    start, last = 0, len(widths) - 2
    for layer in range(len(widths) - 1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        for unit in range(fan_out):
            total, bias = z[unit], weights[start + fan_in * fan_out + unit]
            for lane in range(lanes):
                total[lane] = bias[lane]
            for j in range(fan_in):
                weight, inputs = weights[start + unit * fan_in + j], x[j]
                for lane in range(lanes):
                    total[lane] += weight[lane] * inputs[lane]
        start += (fan_in + 1) * fan_out
        if layer < last:
            for unit in range(fan_out):
                total, activation = z[unit], x[unit]
                for lane in range(lanes):
                    activation[lane] = _selu(total[lane], powers)
    for lane in range(lanes):
        for unit in range(widths[-1]):
            outputs[lane, unit] = np.float32(1) / (np.float32(1) + math.exp(-z[unit, lane]))
