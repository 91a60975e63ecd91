"""Decisions of fully connected networks on a GPU: each network from input to output in one kernel.

A layer is no more than a weighted sum of a hundred numbers. Launched one by one, the layers would take many
times as long as the reading of their weights; here one program walks through all the layers of its network,
and loads the weights of the next one while it computes with those it has. What a network decides does not
depend on the others beside it.
"""

# Triton compiles the kernels and reads their annotations itself.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from evolution.networks.padded_layers import PaddedLayers

BLOCK = 128  # units of the widest layer for which a layer's weights, and the next one's, lie in registers
WEIGHTS = 64  # of a layer that each thread holds, and as many of the next

SELU_SCALE = tl.constexpr(1.0507009873554805)
SELU_ALPHA = tl.constexpr(1.6732632423543772)


def decide(layers: PaddedLayers, observations: Tensor, outputs: Tensor) -> None:
    """Write the outputs (N, out) of N networks for one observation of each (N, in), all on one GPU."""
    number, hidden, block = layers.biases.shape
    warps = max(1, block * block // (32 * WEIGHTS))
    with torch.cuda.device(observations.device):
        _decide[(number,)](
            layers.first,
            layers.first_bias,
            layers.weights,
            layers.biases,
            layers.last,
            layers.last_bias,
            observations,
            outputs,
            INPUTS=observations.shape[1],
            OUTPUTS=outputs.shape[1],
            HIDDEN=hidden,
            SKIP_EVERY=layers.skip_every,
            SELU=layers.selu,
            INPUT_BLOCK=layers.first.shape[1],
            BLOCK=block,
            OUTPUT_BLOCK=layers.last.shape[2],
            num_warps=warps,
            maxnreg=min(255, 2**16 // (32 * warps)),  # by default most are left to other programs
        )


@triton.jit
def activate(z, SELU: tl.constexpr):
    """SELU or tanh; near 0, where an exponential minus 1 loses its digits, the first terms of a series."""
    size = tl.abs(z)
    if SELU:
        series = z * (1 + z * (1 / 2 + z * (1 / 6 + z * (1 / 24))))
        below = tl.where(size < 0.05, series, tl.exp(z) - 1)
        return SELU_SCALE * tl.where(z > 0, z, SELU_ALPHA * below)
    e = tl.exp(-2 * size)
    square = z * z
    near = size * (1 + square * (-1 / 3 + square * (2 / 15)))
    found = tl.where(size < 0.05, near, (1 - e) / (1 + e))
    return tl.where(z >= 0, found, -found)


@triton.jit
def _decide(
    first,
    first_bias,
    weights,
    biases,
    last,
    last_bias,
    observations,
    outputs,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    HIDDEN: tl.constexpr,
    SKIP_EVERY: tl.constexpr,
    SELU: tl.constexpr,
    INPUT_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
    OUTPUT_BLOCK: tl.constexpr,
):
    """One network's outputs; layers are (in, out), so that the sums run over what each thread holds."""
    lane = tl.program_id(0).to(tl.int64)
    unit, feature, answer = tl.arange(0, BLOCK), tl.arange(0, INPUT_BLOCK), tl.arange(0, OUTPUT_BLOCK)
    square = unit[:, None] * BLOCK + unit[None, :]
    layer, layer_bias = weights + lane * (HIDDEN * BLOCK * BLOCK), biases + lane * (HIDDEN * BLOCK)
    if HIDDEN > 0:  # on its way while the first layer is computed
        weight, bias = tl.load(layer + square), tl.load(layer_bias + unit)

    seen = tl.load(observations + lane * INPUTS + feature, mask=feature < INPUTS, other=0.0)
    opening = tl.load(first + lane * (INPUT_BLOCK * BLOCK) + feature[:, None] * BLOCK + unit[None, :])
    z = tl.sum(opening * seen[:, None], 0) + tl.load(first_bias + lane * BLOCK + unit)
    x = activate(z, SELU)
    saved = x

    if HIDDEN > 0:
        for depth in range(1, HIDDEN + 1):
            step = 1 if depth < HIDDEN else 0  # after the last there is none
            layer += step * BLOCK * BLOCK
            layer_bias += step * BLOCK
            next_weight, next_bias = tl.load(layer + square), tl.load(layer_bias + unit)
            x = activate(tl.sum(weight * x[:, None], 0) + bias, SELU)
            if SKIP_EVERY > 0:
                skipped = depth % SKIP_EVERY == 0
                x = tl.where(skipped, x + saved, x)
                saved = tl.where(skipped, x, saved)
            weight, bias = next_weight, next_bias

    closing = tl.load(last + lane * (BLOCK * OUTPUT_BLOCK) + unit[:, None] * OUTPUT_BLOCK + answer[None, :])
    z = tl.sum(closing * x[:, None], 0) + tl.load(last_bias + lane * OUTPUT_BLOCK + answer)
    tl.store(outputs + lane * OUTPUTS + answer, 1 / (1 + tl.exp(-z)), mask=answer < OUTPUTS)
