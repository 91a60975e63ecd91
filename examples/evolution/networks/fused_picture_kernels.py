"""The kernels of ``FusedPicturePass``: all layers of a picture in one program.

A convolution is a matrix product of its weights (12, inputs x taps), as they lie in a genome, with what each
tap meets at each place. Nothing of that is written down: a program reads the maps where they are, 64 places
at a time, and tensor cores multiply, each factor as three parts of fewer digits so that single precision is
kept. Where a layer reads what another thread of its program has written, there is a barrier between them.

Maps in memory, for each picture: 12 x 30 x 32, of which two columns are zero, and depth + 1 times
12 x 16 x 16, in the middle of which 13 x 13 lie, with zeros around.
"""

# Triton compiles the kernels and reads their annotations itself.
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from evolution.networks.fused_layers import SELU_ALPHA, SELU_SCALE, activate
from evolution.networks.picture_maps import CHANNELS, DEEPER, FIRST, SECOND

LARGE = CHANNELS * 30 * 32  # numbers of the maps of 30 x 30
SMALL = CHANNELS * 16 * 16  # and of those of 13 x 13

BLOCK = tl.constexpr(64)  # places at a time
START_OF_SECOND = tl.constexpr(FIRST)
START_OF_DEEPER = tl.constexpr(FIRST + SECOND)
STEP = tl.constexpr(DEEPER)


@triton.jit
def _slope(activation):
    """Derivative of SELU where its value is ``activation``."""
    return tl.where(activation < 0, activation + SELU_SCALE * SELU_ALPHA, SELU_SCALE)


@triton.jit
def _times(weight, values, total):
    return tl.dot(weight, values, total, input_precision="tf32x3")


@triton.jit
def _matrix(at, ROW: tl.constexpr, USED: tl.constexpr, start, WIDTH: tl.constexpr):
    """Weights (16, WIDTH) of a row of weights each of 12 channels, from the column ``start`` on."""
    channel, column = tl.arange(0, 16)[:, None], start + tl.arange(0, WIDTH)[None, :]
    return tl.load(at + channel * ROW + column, mask=(channel < 12) & (column < USED), other=0.0)


@triton.jit
def _biases(at):
    channel = tl.arange(0, 16)
    return tl.load(at + channel, mask=channel < 12, other=0.0)[:, None]


@triton.jit
def _seen_of_picture(picture, place, tap):
    """What the taps of the first convolution meet at places of 30 x 32."""
    y, x = place // 32, place % 32
    at = (2 * y + tap // 5) * 64 + 2 * x + tap % 5
    return tl.load(picture + at, mask=(tap < 25) & (x < 30), other=0).to(tl.float32) * (1 / 255)


@triton.jit
def _seen_of_large(large, place, column):
    """What the taps of the second convolution meet at places of 16 x 16; a column is an input and a tap."""
    y, x = place // 16 - 1, place % 16 - 1
    tap = column % 25
    at = column // 25 * 960 + (2 * y + tap // 5) * 32 + 2 * x + tap % 5
    return tl.load(large + at, mask=(column < 300) & _inner(place), other=0.0)


@triton.jit
def _seen_of_small(small, place, column):
    """What the taps of the other convolutions meet at places of 16 x 16."""
    tap = column % 9
    at = column // 9 * 256 + place + (tap // 3 - 1) * 16 + tap % 3 - 1
    return tl.load(small + at, mask=(column < 108) & _inner(place), other=0.0)


@triton.jit
def _inner(place):
    """Whether places of 16 x 16 are those of the 13 x 13."""
    y, x = place // 16, place % 16
    return (y > 0) & (y < 14) & (x > 0) & (x < 14)


@triton.jit
def _first(weights, picture, block):
    """The sums (16, BLOCK) of the first convolution at a block of places."""
    place, tap = (tl.arange(0, BLOCK) + block * BLOCK)[None, :], tl.arange(0, 32)[:, None]
    bias = _biases(weights + 300) + tl.zeros((16, BLOCK), tl.float32)
    return _times(_matrix(weights, 25, 25, 0, 32), _seen_of_picture(picture, place, tap), bias)


@triton.jit
def _second(weights, seen, block):
    """The sums (16, BLOCK) of the second convolution at a block of places, without the biases."""
    place, column = (tl.arange(0, BLOCK) + block * BLOCK)[None, :], tl.arange(0, 128)[:, None]
    total = tl.zeros((16, BLOCK), tl.float32)
    for start in range(0, 384, 128):
        weight = _matrix(weights, 300, 300, start, 128)
        total = _times(weight, _seen_of_large(seen, place, start + column), total)
    return total


@triton.jit
def _store(maps, block, values):
    """Write values (16, BLOCK) into maps of 16 x 16, and zeros around those of 13 x 13."""
    channel, place = tl.arange(0, 16)[:, None], (tl.arange(0, BLOCK) + block * BLOCK)[None, :]
    tl.store(maps + channel * 256 + place, tl.where(_inner(place), values, 0.0), mask=channel < 12)


@triton.jit
def _load(maps, block):
    channel, place = tl.arange(0, 16)[:, None], (tl.arange(0, BLOCK) + block * BLOCK)[None, :]
    return tl.load(maps + channel * 256 + place, mask=channel < 12, other=0.0)


@triton.jit
def _pool(maps, features):
    """Write the mean (12,) of each channel."""
    channel, place = tl.arange(0, 16), tl.arange(0, 256)
    values = tl.load(maps + channel[:, None] * 256 + place[None, :], mask=channel[:, None] < 12, other=0.0)
    tl.store(features + channel, tl.sum(values, 1) / 169, mask=channel < 12)


@triton.jit
def look(genomes, pictures, larges, smalls, features, DISTINCT, LENGTH, DEPTH):
    """One picture's maps and features."""
    row = tl.program_id(0).to(tl.int64)
    genome, picture = genomes + row // DISTINCT * LENGTH, pictures + row * 4096
    large, small = larges + row * 11520, smalls + row * (DEPTH + 1) * 3072
    channel, offset = tl.arange(0, 16)[:, None], tl.arange(0, BLOCK)[None, :]

    for block in range(15):
        place = offset + block * BLOCK
        y = tl.where(place % 32 < 30, activate(_first(genome, picture, block), True), 0.0)
        tl.store(large + channel * 960 + place, y, mask=channel < 12)
    tl.debug_barrier()

    weights = genome + START_OF_SECOND
    bias = _biases(weights + 3600)
    for block in range(4):
        _store(small, block, activate(_second(weights, large, block) + bias, True))
    tl.debug_barrier()

    column = tl.arange(0, 128)[:, None]
    for layer in range(DEPTH):
        weights = genome + (layer * STEP + START_OF_DEEPER)
        weight, bias = _matrix(weights, 108, 108, 0, 128), _biases(weights + 1296)
        for block in range(4):
            seen = _seen_of_small(small, offset + block * BLOCK, column)
            z = _times(weight, seen, bias + tl.zeros((16, BLOCK), tl.float32))
            _store(small + 3072, block, activate(z, True))
        small += 3072
        tl.debug_barrier()
    _pool(small, features + row * 12)


@triton.jit
def tangents(
    genomes, directions, pictures, larges, smalls, large_changes, changes, features, DISTINCT, LENGTH, DEPTH
):
    """How one picture's features change along a direction, for the maps that ``look`` has written."""
    row = tl.program_id(0).to(tl.int64)
    genome, direction = genomes + row // DISTINCT * LENGTH, directions + row // DISTINCT * LENGTH
    picture, large, large_change = pictures + row * 4096, larges + row * 11520, large_changes + row * 11520
    small, change = smalls + row * (DEPTH + 1) * 3072, changes + row * (DEPTH + 1) * 3072
    channel, offset = tl.arange(0, 16)[:, None], tl.arange(0, BLOCK)[None, :]

    for block in range(15):
        place = offset + block * BLOCK
        z = _first(direction, picture, block)
        y = tl.load(large + channel * 960 + place, mask=channel < 12, other=0.0)
        z = tl.where(place % 32 < 30, z * _slope(y), 0.0)
        tl.store(large_change + channel * 960 + place, z, mask=channel < 12)
    tl.debug_barrier()

    bias = _biases(direction + START_OF_SECOND + 3600)
    for block in range(4):
        z = _second(direction + START_OF_SECOND, large, block) + bias
        z += _second(genome + START_OF_SECOND, large_change, block)
        _store(change, block, z * _slope(_load(small, block)))
    tl.debug_barrier()

    column = tl.arange(0, 128)[:, None]
    for layer in range(DEPTH):
        start = layer * STEP + START_OF_DEEPER
        weight, moved = (
            _matrix(genome + start, 108, 108, 0, 128),
            _matrix(direction + start, 108, 108, 0, 128),
        )
        bias = _biases(direction + start + 1296)
        for block in range(4):
            place = offset + block * BLOCK
            z = _times(moved, _seen_of_small(small, place, column), bias + tl.zeros((16, BLOCK), tl.float32))
            z = _times(weight, _seen_of_small(change, place, column), z)
            _store(change + 3072, block, z * _slope(_load(small + 3072, block)))
        small += 3072
        change += 3072
        tl.debug_barrier()
    _pool(change, features + row * 12)


@triton.jit
def back(genomes, cotangents, larges, smalls, d_larges, d_smalls, DISTINCT, LENGTH, DEPTH):
    """The cotangents of all sums of one picture, before their activation, from those of its features."""
    row = tl.program_id(0).to(tl.int64)
    genome = genomes + row // DISTINCT * LENGTH
    large, d_large = larges + row * 11520, d_larges + row * 11520
    small, d_small = (
        smalls + (row + 1) * (DEPTH + 1) * 3072 - 3072,
        d_smalls + (row + 1) * (DEPTH + 1) * 3072 - 3072,
    )
    channel, offset = tl.arange(0, 16)[:, None], tl.arange(0, BLOCK)[None, :]

    share = _biases(cotangents + row * 12) / 169
    for block in range(4):
        _store(d_small, block, share * _slope(_load(small, block)))
    tl.debug_barrier()

    column = tl.arange(0, 128)
    for layer in range(DEPTH):
        weights = genome + ((DEPTH - 1 - layer) * STEP + START_OF_DEEPER)
        # inputs and outputs change places, and the taps are turned round
        at = (column // 9)[None, :] * 108 + channel * 9 + 8 - (column % 9)[None, :]
        weight = tl.load(weights + at, mask=(channel < 12) & (column < 108)[None, :], other=0.0)
        for block in range(4):
            seen = _seen_of_small(d_small, offset + block * BLOCK, column[:, None])
            z = _times(weight, seen, tl.zeros((16, BLOCK), tl.float32))
            _store(d_small - 3072, block, z * _slope(_load(small - 3072, block)))
        small -= 3072
        d_small -= 3072
        tl.debug_barrier()

    for phase in tl.static_range(4):
        _back_to_phase(genome + START_OF_SECOND, d_small, large, d_large, phase // 2, phase % 2)


@triton.jit
def _back_to_phase(weights, d_small, large, d_large, ODD_ROW: tl.constexpr, ODD_COLUMN: tl.constexpr):
    """Write the cotangents of the first sums in even or odd rows and columns, which other taps meet."""
    ACROSS: tl.constexpr = 3 - ODD_COLUMN
    TAPS: tl.constexpr = (3 - ODD_ROW) * ACROSS
    channel, offset, column = tl.arange(0, 16)[:, None], tl.arange(0, BLOCK)[None, :], tl.arange(0, 128)
    down, right = column % TAPS // ACROSS, column % TAPS % ACROSS
    tap = (2 * down + ODD_ROW) * 5 + 2 * right + ODD_COLUMN
    used = column < 12 * TAPS
    at = (column // TAPS * 300 + tap)[None, :] + channel * 25
    weight = tl.load(weights + at, mask=(channel < 12) & used[None, :], other=0.0)
    for block in range(4):
        place = offset + block * BLOCK
        half_row, half_column = place // 16, place % 16
        y, x = half_row - down[:, None], half_column - right[:, None]
        reached = used[:, None] & (y >= 0) & (y < 13) & (x >= 0) & (x < 13)
        there = (column // TAPS)[:, None] * 256 + (y + 1) * 16 + x + 1
        seen = tl.load(d_small + there, mask=reached, other=0.0)
        z = _times(weight, seen, tl.zeros((16, BLOCK), tl.float32))
        here = channel * 960 + (2 * half_row + ODD_ROW) * 32 + 2 * half_column + ODD_COLUMN
        exists = (channel < 12) & (half_row < 15) & (half_column < 15)
        tl.store(d_large + here, z * _slope(tl.load(large + here, mask=exists, other=0.0)), mask=exists)


@triton.jit
def weigh_first(pictures, d_larges, gradients, DISTINCT, LENGTH):
    """The gradient of the first convolution's weights of one genome."""
    lane = tl.program_id(0).to(tl.int64)
    channel, offset, tap = tl.arange(0, 16)[:, None], tl.arange(0, BLOCK), tl.arange(0, 32)[None, :]
    total, biases = tl.zeros((16, 32), tl.float32), tl.zeros((16,), tl.float32)
    for seen in range(DISTINCT):
        row = lane * DISTINCT + seen
        for start in range(0, 960, BLOCK):
            place = start + offset
            at = d_larges + row * 11520 + channel * 960 + place[None, :]
            d = tl.load(at, mask=channel < 12, other=0.0)
            total = _times(d, _seen_of_picture(pictures + row * 4096, place[:, None], tap), total)
            biases += tl.sum(d, 1)
    _store_gradient(gradients + lane * LENGTH, 25, 25, total, biases, True)


@triton.jit
def weigh_others(larges, smalls, d_smalls, gradients, DISTINCT, LENGTH, DEPTH):
    """The gradient of a third of the second convolution's weights of one genome, or of a layer of 3 x 3."""
    lane, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    offset, column = tl.arange(0, BLOCK)[:, None], tl.arange(0, 128)[None, :]
    total, biases = tl.zeros((16, 128), tl.float32), tl.zeros((16,), tl.float32)
    after = tl.maximum(part - 2, 0)  # the maps whose cotangents count
    for seen in range(DISTINCT):
        row = lane * DISTINCT + seen
        first = row * (DEPTH + 1) * 3072
        for block in range(4):
            d = _load(d_smalls + first + after * 3072, block)
            place = offset + block * BLOCK
            if part < 3:
                met = _seen_of_large(larges + row * 11520, place, part * 128 + column)
            else:
                met = _seen_of_small(smalls + first + (after - 1) * 3072, place, column)
            total = _times(d, met, total)
            biases += tl.sum(d, 1)
    gradient = gradients + lane * LENGTH
    if part < 3:
        _store_gradient(
            gradient + START_OF_SECOND, 300, 300 - part * 128, total, biases, part == 0, part * 128
        )
    else:
        _store_gradient(gradient + (part - 3) * STEP + START_OF_DEEPER, 108, 108, total, biases, True)


@triton.jit
def _store_gradient(gradient, ROW: tl.constexpr, used, total, biases, complete, start=0):
    """Write a row of gradients for each of 12 channels, and if complete those of the biases, too."""
    channel, column = tl.arange(0, 16), tl.arange(0, total.shape[1])
    at = gradient + channel[:, None] * ROW + start + column[None, :]
    tl.store(at, total, mask=(channel < 12)[:, None] & (column < used)[None, :])
    tl.store(gradient + 12 * ROW + channel, biases, mask=(channel < 12) & complete)
