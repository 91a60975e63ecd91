"""Features of a picture under a genome: the convolutions of ``ConvLSTM``, compiled.

Networks this small leave torch's convolutions far behind a processor's speed. ``picture_maps.py`` says how
maps lie in memory, ``picture_gradients.py`` has the derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import ZERO, selu
from evolution.networks.picture_maps import (
    CHANNELS,
    DEEPER,
    FIRST,
    LARGE_CHANNEL,
    LARGE_PLANE,
    PICTURE,
    PICTURE_PLANE,
    SECOND,
    SMALL,
    SMALL_CHANNEL,
    SMALL_LEAD,
    WIDTH,
)
from gym_safemaze.jit import kernel


@kernel
def _five(w: Any, at: int) -> Any:
    """Five weights as a tuple: loops over a tuple are unrolled, its elements stay in registers."""
    return w[at], w[at + 1], w[at + 2], w[at + 3], w[at + 4]


@kernel
def _nine(w: Any, at: int) -> Any:
    """Nine weights as a tuple, see ``_five``."""
    a, b, c, d, e = _five(w, at)
    return a, b, c, d, e, w[at + 5], w[at + 6], w[at + 7], w[at + 8]


@kernel
def _split(picture: Any, planes: Any) -> None:
    """Write the planes of a picture (64, 64), its gray levels from 0 to 1."""
    for y in range(PICTURE):
        for u in range(7):
            row = planes[(y % 4 * 7 + u) * PICTURE_PLANE + y // 4 * WIDTH :]
            for k in range(WIDTH - u // 4):
                row[k] = picture[y, 4 * k + u] * np.float32(1 / 255)


@kernel
def fill(biases: Any, z: Any, stride: int, start: int, length: int) -> None:
    """Set every channel of z to its bias."""
    for c in range(CHANNELS):
        q = z[c * stride + start :]
        for p in range(length):
            q[p] = biases[c]


@kernel
def convolve_picture(x: Any, w: Any, z: Any) -> None:
    """Add to the 30 x 30 maps z the convolution of a picture's planes x, 5 x 5, stride 2."""
    for phase in range(4):
        for o in range(0, CHANNELS, 4):  # four channels share what they read
            q = z[o * LARGE_CHANNEL + phase * LARGE_PLANE :]
            for ky in range(5):
                row = phase // 2 * 2 + ky
                v = x[(row % 4 * 7 + phase % 2 * 2) * PICTURE_PLANE + row // 4 * WIDTH :]
                at = o * 25 + ky * 5
                w0, w1, w2, w3 = _five(w, at), _five(w, at + 25), _five(w, at + 50), _five(w, at + 75)
                for p in range(LARGE_PLANE):
                    z0, z1 = q[p], q[p + LARGE_CHANNEL]
                    z2, z3 = q[p + 2 * LARGE_CHANNEL], q[p + 3 * LARGE_CHANNEL]
                    for t in range(5):
                        e = v[p + t * PICTURE_PLANE]
                        z0 += w0[t] * e
                        z1 += w1[t] * e
                        z2 += w2[t] * e
                        z3 += w3[t] * e
                    q[p], q[p + LARGE_CHANNEL] = z0, z1
                    q[p + 2 * LARGE_CHANNEL], q[p + 3 * LARGE_CHANNEL] = z2, z3


@kernel
def convolve_large(x: Any, w: Any, z: Any) -> None:
    """Add to the 13 x 13 maps z the convolution of the 30 x 30 maps x, 5 x 5, stride 2."""
    for o in range(0, CHANNELS, 4):
        q = z[o * SMALL_CHANNEL + SMALL_LEAD :]
        for i in range(CHANNELS):
            for ky in range(5):
                v = x[i * LARGE_CHANNEL + ky % 2 * 2 * LARGE_PLANE + ky // 2 * WIDTH :]
                at = (o * CHANNELS + i) * 25 + ky * 5
                w0, w1, w2, w3 = _five(w, at), _five(w, at + 300), _five(w, at + 600), _five(w, at + 900)
                for p in range(SMALL):
                    z0, z1 = q[p], q[p + SMALL_CHANNEL]
                    z2, z3 = q[p + 2 * SMALL_CHANNEL], q[p + 3 * SMALL_CHANNEL]
                    for t in range(5):
                        e = v[p + t % 2 * LARGE_PLANE + t // 2]
                        z0 += w0[t] * e
                        z1 += w1[t] * e
                        z2 += w2[t] * e
                        z3 += w3[t] * e
                    q[p], q[p + SMALL_CHANNEL] = z0, z1
                    q[p + 2 * SMALL_CHANNEL], q[p + 3 * SMALL_CHANNEL] = z2, z3


@kernel
def convolve_small(x: Any, w: Any, z: Any) -> None:
    """Add to the 13 x 13 maps z the convolution of such maps x, 3 x 3, padded with zeros."""
    for o in range(0, CHANNELS, 3):
        q = z[o * SMALL_CHANNEL + SMALL_LEAD :]
        for i in range(CHANNELS):
            v = x[i * SMALL_CHANNEL + SMALL_LEAD - WIDTH - 1 :]
            at = (o * CHANNELS + i) * 9
            w0, w1, w2 = _nine(w, at), _nine(w, at + 108), _nine(w, at + 216)
            for p in range(SMALL):
                z0, z1, z2 = q[p], q[p + SMALL_CHANNEL], q[p + 2 * SMALL_CHANNEL]
                for t in range(9):
                    e = v[p + t // 3 * WIDTH + t % 3]
                    z0 += w0[t] * e
                    z1 += w1[t] * e
                    z2 += w2[t] * e
                q[p], q[p + SMALL_CHANNEL], q[p + 2 * SMALL_CHANNEL] = z0, z1, z2


@kernel
def _activate_large(maps: Any) -> None:
    """Apply SELU to 30 x 30 maps in place, and set what lies beside them to zero."""
    for plane in range(0, CHANNELS * LARGE_CHANNEL, LARGE_PLANE):
        y = maps[plane:]
        for p in range(LARGE_PLANE):
            y[p] = selu(y[p]) if p % WIDTH < 15 else ZERO


@kernel
def _activate_small(sums: Any, maps: Any) -> None:
    """Apply SELU to the 13 x 13 maps of sums, with zeros beside them."""
    for c in range(CHANNELS):
        start = c * SMALL_CHANNEL + SMALL_LEAD
        z, y = sums[start:], maps[start:]
        for p in range(SMALL):
            y[p] = selu(z[p]) if p % WIDTH < 13 else ZERO


@kernel
def pool(maps: Any, found: Any) -> None:
    """Average every channel: its columns first, which are added up side by side."""
    for c in range(CHANNELS):
        x = maps[c * SMALL_CHANNEL + SMALL_LEAD :]
        columns = np.zeros(WIDTH, np.float32)
        for y in range(13):
            for k in range(WIDTH):
                columns[k] += x[y * WIDTH + k]
        total = ZERO
        for k in range(13):
            total += columns[k]
        found[c] = total * np.float32(1 / 169)


@kernel
def compute_features(
    g: Any, picture: Any, planes: Any, large: Any, small: Any, sums: Any, found: Any
) -> None:
    """Write the features (12,) of one picture; planes, large and small keep what ``new_maps`` says."""
    _split(picture, planes)
    fill(g[CHANNELS * 25 :], large, LARGE_CHANNEL, 0, LARGE_CHANNEL)
    convolve_picture(planes, g, large)
    _activate_large(large)
    w = g[FIRST:]
    fill(w[CHANNELS * CHANNELS * 25 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
    convolve_large(large, w, sums)
    _activate_small(sums, small[0])
    for layer in range(len(small) - 1):
        w = g[FIRST + SECOND + DEEPER * layer :]
        fill(w[CHANNELS * CHANNELS * 9 :], sums, SMALL_CHANNEL, SMALL_LEAD, SMALL)
        convolve_small(small[layer], w, sums)
        _activate_small(sums, small[layer + 1])
    pool(small[-1], found)
