"""How a picture and the maps of ``ConvLSTM`` lie in memory, always 16 elements to a row.

A row is one vector of a tile (``tiles.py``), and every step of a convolution adds a weight times rows that
lie elsewhere, ``z[p] += weight * x[p + shift]``. That decides where elements are:

* picture, 28 planes of 16 x 16: plane (r, u) holds rows r, r + 4, ... and columns u, u + 4, ..., u = 0 ... 6,
  so that a row of taps of the first convolution is a row of planes;
* 30 x 30 maps, four planes of 15 x 16: even and odd rows, even and odd columns, the phases that the second
  convolution reads with its stride of 2;
* 13 x 13 maps, rows of 16, with zeros after each row, before the first and behind the last: the padding.

Elements of a row beyond the map are kept at zero. Weights lie in a genome as ``ConvLSTM`` registers them.
"""

from __future__ import annotations

import numpy as np

from evolution.networks.tiles import aligned_zeros

CHANNELS = 12
PICTURE = 64

WIDTH = 16  # elements in a row of every map
PICTURE_PLANE = 16 * WIDTH
LARGE_PLANE = 15 * WIDTH  # one of the four phases of a 30 x 30 map
LARGE_CHANNEL = 4 * LARGE_PLANE
SMALL = 13 * WIDTH
SMALL_LEAD = 3 * WIDTH  # zeros before a 13 x 13 map; those of the next channel follow it
SMALL_CHANNEL = SMALL_LEAD + SMALL
SMALL_MAPS = CHANNELS * SMALL_CHANNEL + SMALL_LEAD

FIRST = CHANNELS * 25 + CHANNELS  # weights of each convolution, biases included
SECOND = CHANNELS * CHANNELS * 25 + CHANNELS
DEEPER = CHANNELS * CHANNELS * 9 + CHANNELS


def count_weights(depth: int) -> int:
    """Weights of the convolutions, with ``depth`` layers of 3 x 3."""
    return FIRST + SECOND + DEEPER * depth


def new_maps(number: int, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For so many pictures their planes, 30 x 30 maps, and depth + 1 layers of 13 x 13 maps, all zero."""
    return (
        aligned_zeros(number, 28 * PICTURE_PLANE),
        aligned_zeros(number, CHANNELS * LARGE_CHANNEL),
        aligned_zeros(number, depth + 1, SMALL_MAPS),
    )
