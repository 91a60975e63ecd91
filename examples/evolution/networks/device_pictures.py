"""Features of pictures and their derivatives where genomes are tensors, on a GPU for example.

Many genomes look at many pictures at once. Maps are (N, channels, D, height, width) for D pictures of each
of N genomes, so that a convolution is one batched matrix product with the columns of its input.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from evolution.networks.activations import SELU_ALPHA_SCALE, SELU_SCALE
from evolution.networks.picture_maps import CHANNELS


class Convolution(NamedTuple):
    """One convolution of N genomes.

    Attributes:
        weight: (N, out, in, size, size).
        bias: (N, out).
        stride: In both directions.
        padding: Zeros on every side.
    """

    weight: Tensor
    bias: Tensor
    stride: int
    padding: int

    def __call__(self, maps: Tensor) -> Tensor:
        """Map (N, in, D, H, W) to (N, out, D, H', W')."""
        return _weighed(self.weight, self._columns(maps)) + self.bias[:, :, None, None, None]

    def gradient(self, maps: Tensor, cotangents: Tensor) -> Tensor:
        """The gradient (N, weights and biases) for its input and the cotangents of its output."""
        columns = self._columns(maps).flatten(1, 3).flatten(2)
        of_weight = cotangents.flatten(2) @ columns.transpose(1, 2)
        return torch.cat([of_weight.flatten(1), cotangents.sum((2, 3, 4))], 1)

    def back(self, cotangents: Tensor, like: Tensor) -> Tensor:
        """The cotangents of its input, of a shape like that, for those of its output.

        Every phase of the stride is a convolution with the taps that reach it, turned round.
        """
        found = pad(torch.zeros_like(like), [self.padding] * 4)
        for y, x in product(range(self.stride), repeat=2):
            taps = self.weight[..., y :: self.stride, x :: self.stride].flip(-2, -1).transpose(1, 2)
            height, width = taps.shape[-2:]
            columns = _columns(pad(cotangents, [width - 1] * 2 + [height - 1] * 2), taps.shape[-2:], 1)
            part = _weighed(taps, columns)
            reached = found[..., y :: self.stride, x :: self.stride]
            reached[..., : part.shape[-2], : part.shape[-1]] = part
        inner = [slice(self.padding, self.padding + size) for size in like.shape[-2:]]
        return found[..., inner[0], inner[1]]

    def _columns(self, maps: Tensor) -> Tensor:
        return _columns(pad(maps, [self.padding] * 4), self.weight.shape[-2:], self.stride)


def _columns(maps: Tensor, size: torch.Size, stride: int) -> Tensor:
    """What each tap meets: (N, in, height, width of the taps, D, H', W')."""
    return maps.unfold(3, size[0], stride).unfold(4, size[1], stride).permute(0, 1, 5, 6, 2, 3, 4)


def _weighed(weight: Tensor, columns: Tensor) -> Tensor:
    """The sums (N, out, D, H', W') over what the taps of a weight (N, out, in, height, width) meet."""
    number, out = weight.shape[:2]
    matrices = columns.reshape(number, -1, columns.shape[4:].numel())
    return (weight.reshape(number, out, -1) @ matrices).view(number, out, *columns.shape[4:])


def convolutions(genomes: Tensor, depth: int) -> list[Convolution]:
    """The convolutions of genomes (N, P), as ``ConvLSTM`` registers them."""
    found, start = [], 0
    for inputs, size, stride, padding in [(1, 5, 2, 0), (CHANNELS, 5, 2, 0), *depth * [(CHANNELS, 3, 1, 1)]]:
        end = start + CHANNELS * inputs * size**2
        weight = genomes[:, start:end].view(-1, CHANNELS, inputs, size, size)
        found.append(Convolution(weight, genomes[:, end : end + CHANNELS], stride, padding))
        start = end + CHANNELS
    return found


class DevicePicturePass:
    """The looks of N genomes at D pictures each, kept for their derivatives.

    Args:
        genomes: (N, P); their first weights are those of the convolutions.
        depth: Layers of 3 x 3.
        pictures: (N, D, 64, 64) uint8.

    Attributes:
        features: (N, D, 12).
    """

    def __init__(self, genomes: Tensor, depth: int, pictures: Tensor) -> None:
        self.depth = depth
        self._layers = convolutions(genomes, depth)
        self._maps = [pictures[:, None].to(genomes.dtype) / 255]
        for layer in self._layers:
            self._maps.append(torch.selu_(layer(self._maps[-1])))
        self.features = _pooled(self._maps[-1])

    def tangents(self, direction: Tensor) -> Tensor:
        """How the features (N, D, 12) change when the genomes move along directions (N, P)."""
        change: Tensor | None = None
        changes = convolutions(direction, self.depth)
        for layer, moved, seen, maps in zip(
            self._layers, changes, self._maps[:-1], self._maps[1:], strict=True
        ):
            z = moved(seen)
            if change is not None:
                z += layer._replace(bias=torch.zeros_like(layer.bias))(change)
            change = z * _slope(maps)
        assert change is not None
        return _pooled(change)

    def gradients(self, cotangents: Tensor) -> Tensor:
        """The vector-Jacobian products (N, weights of the convolutions) of cotangents (N, D, 12)."""
        last = self._maps[-1]
        d = cotangents.transpose(1, 2)[..., None, None] / last.shape[-2:].numel() * _slope(last)
        found = []
        for number in range(len(self._layers) - 1, -1, -1):
            layer, seen = self._layers[number], self._maps[number]
            found.append(layer.gradient(seen, d))
            if number:
                d = layer.back(d, seen) * _slope(seen)
        return torch.cat(found[::-1], 1)


def _pooled(maps: Tensor) -> Tensor:
    return maps.mean((3, 4)).transpose(1, 2)


def _slope(activations: Tensor) -> Tensor:
    """Derivative of SELU where its value is ``activations``."""
    return torch.where(activations < 0, activations + float(SELU_ALPHA_SCALE), float(SELU_SCALE))
