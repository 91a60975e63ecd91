"""Features of a picture under a genome: the convolutions of ``ConvLSTM``, compiled.

Networks this small leave torch's convolutions far behind a processor's speed. ``picture_maps.py`` says how
maps lie in memory, ``picture_gradients.py`` has the derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import SELU_ALPHA_SCALE, SELU_SCALE, ZERO
from evolution.networks.fused_products import multiply_add
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
from evolution.networks.tiles import add_weighted, load_tile, rows_for, store_tile
from gym_safemaze.jit import kernel


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
        for o in range(0, CHANNELS, rows_for(1)):
            for row in range(15):
                at = o * LARGE_CHANNEL + phase * LARGE_PLANE + row * WIDTH
                tile = load_tile(z, at, LARGE_CHANNEL, rows_for(1), 1)
                for ky in range(5):
                    y = phase // 2 * 2 + ky
                    start = (y % 4 * 7 + phase % 2 * 2) * PICTURE_PLANE + (y // 4 + row) * WIDTH
                    for t in range(5):
                        tap = o * 25 + ky * 5 + t
                        tile = add_weighted(tile, w, tap, 25, x, start + t * PICTURE_PLANE)
                store_tile(tile, z, at, LARGE_CHANNEL)


@kernel
def convolve_large(x: Any, w: Any, z: Any) -> None:
    """Add to the 13 x 13 maps z the convolution of the 30 x 30 maps x, 5 x 5, stride 2."""
    for o in range(0, CHANNELS, rows_for(1)):
        for row in range(13):
            at = o * SMALL_CHANNEL + SMALL_LEAD + row * WIDTH
            tile = load_tile(z, at, SMALL_CHANNEL, rows_for(1), 1)
            for i in range(CHANNELS):
                for ky in range(5):
                    start = i * LARGE_CHANNEL + ky % 2 * 2 * LARGE_PLANE + (ky // 2 + row) * WIDTH
                    for t in range(5):
                        tap = (o * CHANNELS + i) * 25 + ky * 5 + t
                        seen = start + t % 2 * LARGE_PLANE + t // 2
                        tile = add_weighted(tile, w, tap, CHANNELS * 25, x, seen)
            store_tile(tile, z, at, SMALL_CHANNEL)


@kernel
def convolve_small(x: Any, w: Any, z: Any) -> None:
    """Add to the 13 x 13 maps z the convolution of such maps x, 3 x 3, padded with zeros."""
    for o in range(0, CHANNELS, rows_for(1)):
        for row in range(13):
            at = o * SMALL_CHANNEL + SMALL_LEAD + row * WIDTH
            tile = load_tile(z, at, SMALL_CHANNEL, rows_for(1), 1)
            for i in range(CHANNELS):
                start = i * SMALL_CHANNEL + SMALL_LEAD + (row - 1) * WIDTH - 1
                for t in range(9):
                    tap = (o * CHANNELS + i) * 9 + t
                    seen = start + t // 3 * WIDTH + t % 3
                    tile = add_weighted(tile, w, tap, CHANNELS * 9, x, seen)
            store_tile(tile, z, at, SMALL_CHANNEL)


@kernel
def _selu(value: Any) -> Any:
    """SELU as in ``activations.py``, with fused products."""
    positive = ZERO if value < ZERO else value  # nan stays nan
    negative = value if value < ZERO else ZERO
    r = (np.float32(-18) if negative < np.float32(-18) else negative) * np.float32(1 / 32)
    p = multiply_add(np.float32(1 / 5040), r, np.float32(1 / 720))
    p = multiply_add(p, r, np.float32(1 / 120))
    p = multiply_add(p, r, np.float32(1 / 24))
    p = multiply_add(p, r, np.float32(1 / 6))
    p = multiply_add(p, r, np.float32(1 / 2))
    e = multiply_add(p * r, r, r)
    e = multiply_add(e, e, e + e)
    e = multiply_add(e, e, e + e)
    e = multiply_add(e, e, e + e)
    e = multiply_add(e, e, e + e)
    e = multiply_add(e, e, e + e)
    return multiply_add(SELU_SCALE, positive, SELU_ALPHA_SCALE * e)


@kernel
def clear_beside_large(maps: Any) -> None:
    """Set what lies beside 30 x 30 maps to zero."""
    for p in range(15, CHANNELS * LARGE_CHANNEL, WIDTH):
        maps[p] = ZERO


@kernel
def clear_beside_small(maps: Any) -> None:
    """Set what lies beside 13 x 13 maps to zero."""
    for p in range(13, CHANNELS * SMALL_CHANNEL, WIDTH):
        maps[p] = maps[p + 1] = maps[p + 2] = ZERO


@kernel
def _activate_large(maps: Any) -> None:
    """Apply SELU to 30 x 30 maps in place, and set what lies beside them to zero."""
    for p in range(CHANNELS * LARGE_CHANNEL):
        maps[p] = _selu(maps[p])
    clear_beside_large(maps)


@kernel
def _activate_small(sums: Any, maps: Any) -> None:
    """Apply SELU to the 13 x 13 maps of sums, with zeros beside them."""
    for c in range(CHANNELS):
        start = c * SMALL_CHANNEL + SMALL_LEAD
        z, y = sums[start:], maps[start:]
        for p in range(SMALL):
            y[p] = _selu(z[p])
    clear_beside_small(maps)


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


@kernel
def compute_all_features(
    genomes: Any, lanes: Any, pictures: Any, planes: Any, large: Any, small: Any, sums: Any, found: Any
) -> None:
    """Write the features (K, 12) of K pictures, each under the genome of its lane, with maps for one."""
    for k in range(len(lanes)):
        compute_features(genomes[lanes[k]], pictures[k], planes, large, small, sums, found[k])
