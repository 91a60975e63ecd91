"""Derivatives of a picture's features with respect to the genome, forward and backward, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import SELU_ALPHA_SCALE, SELU_SCALE, ZERO
from evolution.networks.derivative_kernel import derivative_kernel
from evolution.networks.picture_features import (
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
from gym_safemaze.jit import kernel


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
        self._sums = np.zeros(SMALL_MAPS, np.float32)
        _features_of_all(genome, pictures, self._planes, self._large, self._small, self._sums, self.features)

    def tangents(self, direction: np.ndarray) -> np.ndarray:
        """How the features (D, 12) change when the genome moves along a direction (P,)."""
        found = np.empty_like(self.features)
        _tangents_of_all(self.genome, direction, self._planes, self._large, self._small, self._sums, found)
        return found

    def add_gradients(self, cotangents: np.ndarray, gradient: np.ndarray) -> None:
        """Add to a gradient (P,) the vector-Jacobian product of cotangents (D, 12) of the features."""
        _gradients_of_all(
            self.genome, cotangents, self._planes, self._large, self._small, self._sums, gradient
        )


_convolve_picture = derivative_kernel(convolve_picture)
_convolve_large = derivative_kernel(convolve_large)
_convolve_small = derivative_kernel(convolve_small)


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


@derivative_kernel
def _times_slope_large(z: Any, activations: Any) -> None:
    """Multiply z by the slope, with zeros beside the maps."""
    for plane in range(0, CHANNELS * LARGE_CHANNEL, LARGE_PLANE):
        q, y = z[plane:], activations[plane:]
        for p in range(LARGE_PLANE):
            q[p] = q[p] * _slope(y[p]) if p % WIDTH < 15 else ZERO


@derivative_kernel
def _times_slope_small(z: Any, activations: Any, changes: Any) -> None:
    """Write changes = z * slope, with zeros beside the maps."""
    for c in range(CHANNELS):
        start = c * SMALL_CHANNEL + SMALL_LEAD
        q, y, d = z[start:], activations[start:], changes[start:]
        for p in range(SMALL):
            d[p] = q[p] * _slope(y[p]) if p % WIDTH < 13 else ZERO


@derivative_kernel
def _add_bias_gradients(d: Any, gradient: Any, stride: int, start: int, length: int) -> None:
    for c in range(CHANNELS):
        q = d[c * stride + start :]
        total = ZERO
        for p in range(length):
            total += q[p]
        gradient[c] += total


@derivative_kernel
def _add_gradients_of_picture(x: Any, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_picture``, d the cotangents of its sums."""
    for phase in range(4):
        for o in range(0, CHANNELS, 4):
            q = d[o * LARGE_CHANNEL + phase * LARGE_PLANE :]
            for tap in range(25):
                row = phase // 2 * 2 + tap // 5
                plane = row % 4 * 7 + phase % 2 * 2 + tap % 5
                v = x[plane * PICTURE_PLANE + row // 4 * WIDTH :]
                g0 = g1 = g2 = g3 = ZERO
                for p in range(LARGE_PLANE):
                    e = v[p]
                    g0 += q[p] * e
                    g1 += q[p + LARGE_CHANNEL] * e
                    g2 += q[p + 2 * LARGE_CHANNEL] * e
                    g3 += q[p + 3 * LARGE_CHANNEL] * e
                at = o * 25 + tap
                gradient[at] += g0
                gradient[at + 25] += g1
                gradient[at + 50] += g2
                gradient[at + 75] += g3


@derivative_kernel
def _add_gradients_of_large(x: Any, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_large``, d the cotangents of its sums."""
    for o in range(0, CHANNELS, 4):
        q = d[o * SMALL_CHANNEL + SMALL_LEAD :]
        for i in range(CHANNELS):
            for ky in range(5):
                at = (o * CHANNELS + i) * 25 + ky * 5
                row = i * LARGE_CHANNEL + ky % 2 * 2 * LARGE_PLANE + ky // 2 * WIDTH
                _add_products(q, x[row:], gradient[at:], 300, 2, 3)
                _add_products(q, x[row + LARGE_PLANE :], gradient[at + 1 :], 300, 2, 2)


@derivative_kernel
def _add_gradients_of_small(x: Any, d: Any, gradient: Any) -> None:
    """Add the gradient of the weights of ``convolve_small``, d the cotangents of its sums."""
    for o in range(0, CHANNELS, 4):
        q = d[o * SMALL_CHANNEL + SMALL_LEAD :]
        for i in range(CHANNELS):
            for ky in range(3):
                at = (o * CHANNELS + i) * 9 + ky * 3
                row = i * SMALL_CHANNEL + SMALL_LEAD + (ky - 1) * WIDTH - 1
                _add_products(q, x[row:], gradient[at:], 108, 1, 3)


@derivative_kernel
def _add_products(q: Any, v: Any, gradient: Any, channel: int, tap: int, taps: int) -> None:
    """Add the inner products of four channels' cotangents q with v, shifted by 0, 1 and 2.

    They go to the gradients of 2 or 3 taps that lie ``tap`` apart, and the channels' ``channel`` apart.
    """
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = d0 = d1 = d2 = ZERO
    for p in range(SMALL):
        v0, v1, v2 = v[p], v[p + 1], v[p + 2]
        a, b, c, d = q[p], q[p + SMALL_CHANNEL], q[p + 2 * SMALL_CHANNEL], q[p + 3 * SMALL_CHANNEL]
        a0 += a * v0
        a1 += a * v1
        a2 += a * v2
        b0 += b * v0
        b1 += b * v1
        b2 += b * v2
        c0 += c * v0
        c1 += c * v1
        c2 += c * v2
        d0 += d * v0
        d1 += d * v1
        d2 += d * v2
    found = ((a0, a1, a2), (b0, b1, b2), (c0, c1, c2), (d0, d1, d2))
    for o in range(4):
        for t in range(taps):
            gradient[o * channel + t * tap] += found[o][t]


@derivative_kernel
def _convolve_back_large(d: Any, w: Any, z: Any) -> None:
    """Write z, the cotangents of the input of ``convolve_large``; odd columns lack the third tap."""
    for i in range(0, CHANNELS, 4):
        for phase in range(4):
            q = z[i * LARGE_CHANNEL + phase * LARGE_PLANE :]
            for p in range(LARGE_PLANE):
                q[p], q[p + LARGE_CHANNEL] = ZERO, ZERO
                q[p + 2 * LARGE_CHANNEL], q[p + 3 * LARGE_CHANNEL] = ZERO, ZERO
            odd = phase % 2
            third = np.float32(1 - odd)
            for o in range(CHANNELS):
                for ky in range(phase // 2, 5, 2):
                    v = d[o * SMALL_CHANNEL + SMALL_LEAD - ky // 2 * WIDTH - 2 :]
                    at = (o * CHANNELS + i) * 25 + ky * 5 + odd
                    w0, w1 = _three(w, at, odd, third), _three(w, at + 25, odd, third)
                    w2, w3 = _three(w, at + 50, odd, third), _three(w, at + 75, odd, third)
                    for p in range(LARGE_PLANE):
                        z0, z1 = q[p], q[p + LARGE_CHANNEL]
                        z2, z3 = q[p + 2 * LARGE_CHANNEL], q[p + 3 * LARGE_CHANNEL]
                        for t in range(3):
                            e = v[p + 2 - t]
                            z0 += w0[t] * e
                            z1 += w1[t] * e
                            z2 += w2[t] * e
                            z3 += w3[t] * e
                        q[p], q[p + LARGE_CHANNEL] = z0, z1
                        q[p + 2 * LARGE_CHANNEL], q[p + 3 * LARGE_CHANNEL] = z2, z3


@derivative_kernel
def _three(w: Any, at: int, odd: int, third: Any) -> Any:
    """Every second of a row's five weights from ``at`` on; the third is 0 where there is none."""
    return w[at], w[at + 2], w[at + 4 - 4 * odd] * third


@derivative_kernel
def _turn(w: Any, turned: Any) -> None:
    """Swap inputs and outputs of a deeper convolution and turn its taps round: its transpose."""
    for o in range(CHANNELS):
        for i in range(CHANNELS):
            for tap in range(9):
                turned[(i * CHANNELS + o) * 9 + 8 - tap] = w[(o * CHANNELS + i) * 9 + tap]


@derivative_kernel
def _gradients_of_all(
    g: Any, cotangents: Any, planes: Any, large: Any, small: Any, sums: Any, gradient: Any
) -> None:
    of_large = np.zeros(CHANNELS * LARGE_CHANNEL, np.float32)
    of_small = np.zeros(SMALL_MAPS, np.float32)
    turned = np.empty((small.shape[1], CHANNELS * CHANNELS * 9), np.float32)
    for layer in range(small.shape[1] - 1):
        _turn(g[FIRST + SECOND + DEEPER * layer :], turned[layer])
    for n in range(len(cotangents)):
        _of_pool(cotangents[n], small[n, -1], sums, of_small)
        for layer in range(small.shape[1] - 2, -1, -1):
            weights = gradient[FIRST + SECOND + DEEPER * layer :]
            _add_gradients_of_small(small[n, layer], of_small, weights)
            _add_bias_gradients(
                of_small, weights[CHANNELS * CHANNELS * 9 :], SMALL_CHANNEL, SMALL_LEAD, SMALL
            )
            for p in range(SMALL_MAPS):
                sums[p] = ZERO
            _convolve_small(of_small, turned[layer], sums)
            _times_slope_small(sums, small[n, layer], of_small)
        weights = gradient[FIRST:]
        _add_gradients_of_large(large[n], of_small, weights)
        _add_bias_gradients(of_small, weights[CHANNELS * CHANNELS * 25 :], SMALL_CHANNEL, SMALL_LEAD, SMALL)
        _convolve_back_large(of_small, g[FIRST:], of_large)
        _times_slope_large(of_large, large[n])
        _add_gradients_of_picture(planes[n], of_large, gradient)
        _add_bias_gradients(of_large, gradient[CHANNELS * 25 :], LARGE_CHANNEL, 0, LARGE_CHANNEL)


@derivative_kernel
def _of_pool(cotangent: Any, activations: Any, sums: Any, of_small: Any) -> None:
    """Cotangents of what the last convolution adds up, for a cotangent (12,) of the features."""
    for c in range(CHANNELS):
        share = cotangent[c] * np.float32(1 / 169)
        start = c * SMALL_CHANNEL + SMALL_LEAD
        for p in range(start, start + SMALL):
            sums[p] = share
    _times_slope_small(sums, activations, of_small)


@derivative_kernel
def _tangents_of_all(
    g: Any, direction: Any, planes: Any, large: Any, small: Any, sums: Any, found: Any
) -> None:
    large_changes = np.zeros(CHANNELS * LARGE_CHANNEL, np.float32)
    changes = np.zeros(SMALL_MAPS, np.float32)
    for n in range(len(planes)):
        fill(direction[CHANNELS * 25 :], large_changes, LARGE_CHANNEL, 0, LARGE_CHANNEL)
        _convolve_picture(planes[n], direction, large_changes)
        _times_slope_large(large_changes, large[n])
        w = direction[FIRST:]
        fill(w[CHANNELS * CHANNELS * 25 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
        _convolve_large(large[n], w, sums)
        _convolve_large(large_changes, g[FIRST:], sums)
        _times_slope_small(sums, small[n, 0], changes)
        for layer in range(small.shape[1] - 1):
            at = FIRST + SECOND + DEEPER * layer
            fill(direction[at + CHANNELS * CHANNELS * 9 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
            _convolve_small(small[n, layer], direction[at:], sums)
            _convolve_small(changes, g[at:], sums)
            _times_slope_small(sums, small[n, layer + 1], changes)
        pool(changes, found[n])
