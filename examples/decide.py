"""One decision of each of N fully connected networks, compiled.

A rollout asks every network for one small output at a time, and there the cost of dispatching some
forty torch operations is many times that of the arithmetic. This computes the same outputs as
``networks.FeedForward`` (to float32 rounding) without gradients.
"""

from __future__ import annotations

import math

import numpy as np

from gym_safemaze.jit import kernel

SELU_SCALE = np.float32(1.0507009873554805)
SELU_ALPHA_SCALE = np.float32(1.0507009873554805 * 1.6732632423543772)


@kernel
def decide(genomes, widths, observations, outputs):  # type: ignore[no-untyped-def]
    """Write the outputs (N, widths[-1]) of SELU networks with sigmoid outputs, lane by lane.

    Args:
        genomes: (N, P) float32, each layer's weight row by row and then its bias.
        widths: Units of every layer, input and output included.
        observations: (N, widths[0]) float32.
        outputs: (N, widths[-1]) float32, written.
    """
    x = np.empty(widths.max(), np.float32)
    z = np.empty(widths.max(), np.float32)
    last = len(widths) - 2
    for lane in range(genomes.shape[0]):
        genome = genomes[lane]
        x[: widths[0]] = observations[lane]
        start = 0
        for layer in range(len(widths) - 1):
            fan_in, fan_out = widths[layer], widths[layer + 1]
            bias = start + fan_in * fan_out
            for unit in range(fan_out):
                total = genome[bias + unit]
                row = start + unit * fan_in
                for j in range(fan_in):
                    total += genome[row + j] * x[j]
                z[unit] = total
            start = bias + fan_out
            for unit in range(fan_out):
                value = z[unit]
                if layer == last:
                    outputs[lane, unit] = np.float32(1) / (np.float32(1) + math.exp(-value))
                elif value > 0:
                    x[unit] = SELU_SCALE * value
                else:
                    x[unit] = SELU_ALPHA_SCALE * np.float32(math.expm1(value))
