"""The layers of fully connected networks as a GPU reads them best: padded to powers of two, transposed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PaddedLayers:
    """N networks of hidden layers of one width, padded with units and weights of zero.

    Attributes:
        first: Weights (N, in, width) of the first layer.
        first_bias: (N, width).
        weights: Weights (N, H, width, width) of the H layers between hidden units, input by input.
        biases: (N, H, width).
        last: Weights (N, width, out) of the output layer.
        last_bias: (N, out).
        selu: Whether the activation is SELU, not tanh.
        skip_every: Add the activations of so many layers before, from the first hidden layer on; 0 for none.
    """

    first: Tensor
    first_bias: Tensor
    weights: Tensor
    biases: Tensor
    last: Tensor
    last_bias: Tensor
    selu: bool
    skip_every: int

    @classmethod
    def of(cls, genomes: Tensor, widths: list[int], selu: bool, skip_every: int) -> PaddedLayers:
        """Lay out genomes (N, P), which list each layer's weight row by row and then its bias.

        Args:
            genomes: Float32.
            widths: Units of every layer; hidden layers are equally wide.
            selu: See above.
            skip_every: See above.
        """
        inputs, width, outputs = widths[0], widths[1], widths[-1]
        hidden = len(widths) - 3
        sizes = [width * (inputs + 1), hidden * width * (width + 1), outputs * (width + 1)]
        opening, between, closing = genomes.split(sizes, 1)
        square = between.view(len(genomes), hidden, width * (width + 1))
        return cls(
            *_padded(opening[:, None], inputs, width, squeeze=True),
            *_padded(square, width, width),
            *_padded(closing[:, None], width, outputs, squeeze=True),
            selu,
            skip_every,
        )


def _padded(layers: Tensor, fan_in: int, fan_out: int, squeeze: bool = False) -> tuple[Tensor, Tensor]:
    """Weights (N, H, in, out) and biases (N, H, out), padded, of layers (N, H, out * in + out)."""
    number, depth, _ = layers.shape
    weight, bias = layers.split([fan_in * fan_out, fan_out], 2)
    rows, columns = _power_of_two(fan_in), _power_of_two(fan_out)
    weights = torch.zeros(number, depth, rows, columns, dtype=layers.dtype, device=layers.device)
    weights[:, :, :fan_in, :fan_out] = weight.unflatten(2, (fan_out, fan_in)).transpose(2, 3)
    biases = torch.zeros(number, depth, columns, dtype=layers.dtype, device=layers.device)
    biases[:, :, :fan_out] = bias
    return (weights[:, 0], biases[:, 0]) if squeeze else (weights, biases)


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
