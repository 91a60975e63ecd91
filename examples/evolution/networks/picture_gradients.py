"""Derivatives of a picture's features with respect to the genome, forward and backward, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import SELU_ALPHA_SCALE, SELU_SCALE, ZERO
from evolution.networks.picture_features import (
    clear_beside_large,
    clear_beside_small,
    compute_features,
    convolve_large,
    convolve_picture,
    convolve_small,
    fill,
    pool,
)
from evolution.networks.picture_maps import (
    CHANNELS,
    DEEPER,
    FIRST,
    LARGE_CHANNEL,
    LARGE_PLANE,
    PICTURE_PLANE,
    SECOND,
    SMALL,
    SMALL_CHANNEL,
    SMALL_LEAD,
    SMALL_MAPS,
    WIDTH,
    new_maps,
)
from evolution.networks.tiles import (
    add_products,
    add_sums,
    add_weighted,
    aligned_zeros,
    rows_for,
    store_tile,
    zero_tile,
)
from gym_safemaze.jit import kernel

ONES = np.ones(WIDTH, np.float32)
TOGETHER = 4  # pictures whose gradients a tile adds up before its vectors are


class PicturePass:
    """One genome's look at some pictures, kept for its derivatives.

    Args:
        genome: (P,) float32; its first weights are those of the convolutions.
        depth: Layers of 3 x 3.
        pictures: (D, 64, 64) uint8.

    Attributes:
        features: (D, 12).
    """

    def __init__(self, genome: np.ndarray, depth: int, pictures: np.ndarray) -> None:
        number = len(pictures)
        self.genome = genome
        self.features = np.empty((number, CHANNELS), np.float32)
        self._planes, self._large, self._small = new_maps(number, depth)
        self._large_changes = aligned_zeros(TOGETHER, CHANNELS * LARGE_CHANNEL)
        self._changes = aligned_zeros(TOGETHER, SMALL_MAPS)
        self._sums = aligned_zeros(SMALL_MAPS)
        _features_of_all(genome, pictures, self._planes, self._large, self._small, self._sums, self.features)

    def tangents(self, direction: np.ndarray) -> np.ndarray:
        """How the features (D, 12) change when the genome moves along a direction (P,)."""
        found = np.empty_like(self.features)
        _tangents_of_all(self.genome, direction, *self._maps(), found)
        return found

    def add_gradients(self, cotangents: np.ndarray, gradient: np.ndarray) -> None:
        """Add to a gradient (P,) the vector-Jacobian product of cotangents (D, 12) of the features."""
        _gradients_of_all(self.genome, cotangents, *self._maps(), gradient)

    def _maps(self) -> tuple[np.ndarray, ...]:
        return self._planes, self._large, self._small, self._large_changes, self._changes, self._sums


@kernel
def _slope(activation: Any) -> Any:
    """Derivative of SELU where its value is ``activation``."""
    return activation + SELU_ALPHA_SCALE if activation < ZERO else SELU_SCALE


@kernel
def _features_of_all(
    g: Any, pictures: Any, planes: Any, large: Any, small: Any, sums: Any, found: Any
) -> None:
    for n in range(len(pictures)):
        compute_features(g, pictures[n], planes[n], large[n], small[n], sums, found[n])


@kernel
def _times_slope_large(z: Any, activations: Any) -> None:
    """Multiply z by the slope, with zeros beside the maps."""
    for p in range(CHANNELS * LARGE_CHANNEL):
        z[p] *= _slope(activations[p])
    clear_beside_large(z)


@kernel
def _times_slope_small(z: Any, activations: Any, changes: Any) -> None:
    """Write changes = z * slope, with zeros beside the maps."""
    for c in range(CHANNELS):
        start = c * SMALL_CHANNEL + SMALL_LEAD
        q, y, d = z[start:], activations[start:], changes[start:]
        for p in range(SMALL):
            d[p] = q[p] * _slope(y[p])
    clear_beside_small(changes)


@kernel
def _add_bias_gradients(d: Any, gradient: Any, stride: int, start: int, rows: int) -> None:
    """Add the gradient of a convolution's biases."""
    for o in range(0, CHANNELS, rows_for(1)):
        tile = zero_tile(rows_for(1), 1)
        for n in range(len(d)):
            for row in range(rows):
                tile = add_products(tile, d[n], o * stride + start + row * WIDTH, stride, ONES, (0,))
        add_sums(tile, gradient, o, 1, 0)


@kernel
def _add_gradients_of_picture(x: Any, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_picture``, d the cotangents of its sums.

    The five taps of a row are added up by threes and twos: sums of all would outgrow the registers.
    """
    for o in range(0, CHANNELS, rows_for(3)):
        for ky in range(5):
            first, last = zero_tile(rows_for(3), 3), zero_tile(rows_for(3), 2)
            for n in range(len(x)):
                for phase in range(4):
                    y = phase // 2 * 2 + ky
                    at = o * LARGE_CHANNEL + phase * LARGE_PLANE
                    start = (y % 4 * 7 + phase % 2 * 2) * PICTURE_PLANE + y // 4 * WIDTH
                    for row in range(0, LARGE_PLANE, WIDTH):
                        planes = _planes(start + row)
                        first = add_products(first, d[n], at + row, LARGE_CHANNEL, x[n], planes[:3])
                    for row in range(0, LARGE_PLANE, WIDTH):
                        planes = _planes(start + row)
                        last = add_products(last, d[n], at + row, LARGE_CHANNEL, x[n], planes[3:])
            add_sums(first, gradient, o * 25 + ky * 5, 25, 1)
            add_sums(last, gradient, o * 25 + ky * 5 + 3, 25, 1)


@kernel
def _planes(start: int) -> tuple[int, int, int, int, int]:
    """Where the same place is in five planes of a picture."""
    step = PICTURE_PLANE
    return start, start + step, start + 2 * step, start + 3 * step, start + 4 * step


@kernel
def _add_gradients_of_large(x: Any, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_large``, d the cotangents of its sums.

    Of a row's five taps, those that read even columns and those that read odd ones.
    """
    for o in range(0, CHANNELS, rows_for(3)):
        at = o * SMALL_CHANNEL + SMALL_LEAD
        for i in range(CHANNELS):
            for ky in range(5):
                start = i * LARGE_CHANNEL + ky % 2 * 2 * LARGE_PLANE + ky // 2 * WIDTH
                tap = (o * CHANNELS + i) * 25 + ky * 5
                even = zero_tile(rows_for(3), 3)
                for n in range(len(x)):
                    for row in range(0, SMALL, WIDTH):
                        seen = start + row
                        three = seen, seen + 1, seen + 2
                        even = add_products(even, d[n], at + row, SMALL_CHANNEL, x[n], three)
                add_sums(even, gradient, tap, CHANNELS * 25, 2)
                odd = zero_tile(rows_for(3), 2)
                for n in range(len(x)):
                    for row in range(0, SMALL, WIDTH):
                        seen = start + row + LARGE_PLANE
                        odd = add_products(odd, d[n], at + row, SMALL_CHANNEL, x[n], (seen, seen + 1))
                add_sums(odd, gradient, tap + 1, CHANNELS * 25, 2)


@kernel
def _add_gradients_of_small(x: Any, layer: int, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_small`` of a layer of x, d the cotangents of its sums."""
    for o in range(0, CHANNELS, rows_for(3)):
        for i in range(CHANNELS):
            for ky in range(3):
                tile = zero_tile(rows_for(3), 3)
                start = i * SMALL_CHANNEL + SMALL_LEAD + (ky - 1) * WIDTH - 1
                for n in range(len(d)):
                    for row in range(0, SMALL, WIDTH):
                        starts = start + row, start + row + 1, start + row + 2
                        at = o * SMALL_CHANNEL + SMALL_LEAD + row
                        tile = add_products(tile, d[n], at, SMALL_CHANNEL, x[n, layer], starts)
                add_sums(tile, gradient, (o * CHANNELS + i) * 9 + ky * 3, CHANNELS * 9, 1)


@kernel
def _convolve_back_large(d: Any, w: Any, z: Any) -> None:
    """Write z, the cotangents of the input of ``convolve_large``."""
    for i in range(0, CHANNELS, rows_for(3)):
        for phase in range(4):
            for row in range(0, 15, 3):
                tile = zero_tile(rows_for(3), 3)
                for o in range(CHANNELS):
                    for ky in range(phase // 2, 5, 2):
                        start = o * SMALL_CHANNEL + SMALL_LEAD + (row - ky // 2) * WIDTH
                        for kx in range(phase % 2, 5, 2):
                            tap = (o * CHANNELS + i) * 25 + ky * 5 + kx
                            tile = add_weighted(tile, w, tap, 25, d, start - kx // 2)
                store_tile(tile, z, i * LARGE_CHANNEL + phase * LARGE_PLANE + row * WIDTH, LARGE_CHANNEL)


@kernel
def _turn(w: Any, turned: Any) -> None:
    """Swap inputs and outputs of a deeper convolution and turn its taps round: its transpose."""
    for o in range(CHANNELS):
        for i in range(CHANNELS):
            for tap in range(9):
                turned[(i * CHANNELS + o) * 9 + 8 - tap] = w[(o * CHANNELS + i) * 9 + tap]


@kernel
def _gradients_of_all(
    g: Any,
    cotangents: Any,
    planes: Any,
    large: Any,
    small: Any,
    of_large: Any,
    of_small: Any,
    sums: Any,
    gradient: Any,
) -> None:
    layers = small.shape[1] - 1
    turned = np.empty((layers, CHANNELS * CHANNELS * 9), np.float32)
    for layer in range(layers):
        _turn(g[FIRST + SECOND + DEEPER * layer :], turned[layer])
    for first in range(0, len(cotangents), TOGETHER):
        number = min(TOGETHER, len(cotangents) - first)
        end = first + number
        d, d_large = of_small[:number], of_large[:number]
        for n in range(number):
            _of_pool(cotangents[first + n], small[first + n, layers], sums, d[n])
        for layer in range(layers - 1, -1, -1):
            weights = gradient[FIRST + SECOND + DEEPER * layer :]
            _add_gradients_of_small(small[first:end], layer, d, weights)
            _add_bias_gradients(d, weights[CHANNELS * CHANNELS * 9 :], SMALL_CHANNEL, SMALL_LEAD, 13)
            for n in range(number):
                for p in range(SMALL_MAPS):
                    sums[p] = ZERO
                convolve_small(d[n], turned[layer], sums)
                _times_slope_small(sums, small[first + n, layer], d[n])
        weights = gradient[FIRST:]
        _add_gradients_of_large(large[first:end], d, weights)
        _add_bias_gradients(d, weights[CHANNELS * CHANNELS * 25 :], SMALL_CHANNEL, SMALL_LEAD, 13)
        for n in range(number):
            _convolve_back_large(d[n], g[FIRST:], d_large[n])
            _times_slope_large(d_large[n], large[first + n])
        _add_gradients_of_picture(planes[first:end], d_large, gradient)
        _add_bias_gradients(d_large, gradient[CHANNELS * 25 :], LARGE_CHANNEL, 0, 60)


@kernel
def _of_pool(cotangent: Any, activations: Any, sums: Any, of_small: Any) -> None:
    """Cotangents of what the last convolution adds up, for a cotangent (12,) of the features."""
    for c in range(CHANNELS):
        share = cotangent[c] * np.float32(1 / 169)
        start = c * SMALL_CHANNEL + SMALL_LEAD
        for p in range(start, start + SMALL):
            sums[p] = share
    _times_slope_small(sums, activations, of_small)


@kernel
def _tangents_of_all(
    g: Any,
    direction: Any,
    planes: Any,
    large: Any,
    small: Any,
    large_changes: Any,
    small_changes: Any,
    sums: Any,
    found: Any,
) -> None:
    large_change, change = large_changes[0], small_changes[0]
    for n in range(len(planes)):
        fill(direction[CHANNELS * 25 :], large_change, LARGE_CHANNEL, 0, LARGE_CHANNEL)
        convolve_picture(planes[n], direction, large_change)
        _times_slope_large(large_change, large[n])
        w = direction[FIRST:]
        fill(w[CHANNELS * CHANNELS * 25 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
        convolve_large(large[n], w, sums)
        convolve_large(large_change, g[FIRST:], sums)
        _times_slope_small(sums, small[n, 0], change)
        for layer in range(small.shape[1] - 1):
            at = FIRST + SECOND + DEEPER * layer
            fill(direction[at + CHANNELS * CHANNELS * 9 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
            convolve_small(small[n, layer], direction[at:], sums)
            convolve_small(change, g[at:], sums)
            _times_slope_small(sums, small[n, layer + 1], change)
        pool(change, found[n])
