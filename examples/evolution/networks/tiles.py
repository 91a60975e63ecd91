"""Tiles: blocks of sums that stay in the processor's registers while a kernel adds products to them.

A compiler that makes vector instructions of a loop over single numbers writes every sum to memory and reads
it again for the next channel, which takes about as long as the arithmetic. A tile is rows and columns of
vectors of 16 numbers, and a kernel says when they are read and written.

Its products are fused with its sums (``fused_products.py``). These are functions for kernels, of flat float32
arrays, whose ends they do not check.
"""

# numba reads no annotations: it asks each intrinsic, given types, for its signature and code.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from math import prod

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from evolution.networks.fused_products import fuse, intrinsic, target

LANES = 16  # numbers of a vector

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_LANE = ir.IntType(32)


def aligned_zeros(*shape):
    """Return float32 zeros whose vectors begin where a line of the processor's cache does: none is in two."""
    size = prod(shape)
    memory = np.zeros(size + LANES, np.float32)
    start = -memory.ctypes.data // memory.itemsize % LANES
    return memory[start : start + size].reshape(shape)


class Tile(types.Type):
    """The type of a tile of so many rows and columns of vectors."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(name=f"Tile({rows}, {columns})")
        self.rows = rows
        self.columns = columns

    def places(self) -> list[tuple[int, int, int]]:
        """Number, row and column of every vector."""
        return [
            (row * self.columns + column, row, column)
            for row in range(self.rows)
            for column in range(self.columns)
        ]


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    """A tile is an array of vectors, each of which becomes a register."""

    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(_VECTOR, tile.rows * tile.columns))


@intrinsic(prefer_literal=True)
def rows_for(_, columns):
    """Return how many rows a tile of so many columns can have without outgrowing the processor's registers.

    No constant, which would be a part of what code on disk is compared by: a cluster's processors differ.
    """
    vectors = 12 if "+avx512f" in target()[2].split(",") else 6  # the latter are two registers each
    rows = types.literal(vectors // columns.literal_value)

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, rows.literal_value)

    return rows(columns), generate


@intrinsic(prefer_literal=True)
def zero_tile(_, rows, columns):
    """Return a tile of so many rows and columns, constants, all zero."""
    tile = _tile_type(rows, columns)

    def generate(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(rows, columns), generate


@intrinsic(prefer_literal=True)
def load_tile(_, array, at, step, rows, columns):
    """Return a tile of an array: rows begin at ``at`` and ``step`` apart, their vectors follow each other."""
    tile = _tile_type(rows, columns)

    def generate(context, builder, signature, arguments):
        places = _Places(context, builder, array, *arguments[:3])
        found = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for number, row, column in tile.places():
            found = builder.insert_value(found, places.load(row, column), number)
        return found

    return tile(array, types.intp, types.intp, rows, columns), generate


@intrinsic
def store_tile(_, tile, array, at, step):
    """Write a tile where ``load_tile`` reads it."""

    def generate(context, builder, signature, arguments):
        places = _Places(context, builder, array, *arguments[1:])
        for number, row, column in tile.places():
            places.store(builder.extract_value(arguments[0], number), row, column)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), generate


@intrinsic
def add_weighted(_, tile, weights, at, step, array, start):
    """Add to each row a weight times the same vectors: as many as there are columns, from ``start`` on.

    The rows' weights begin at ``at`` and lie ``step`` apart.
    """

    def generate(context, builder, signature, arguments):
        found, w, at, step, x, start = arguments
        scales = _Places(context, builder, weights, w, at, step)
        start = _disguise(builder, start)
        vectors = _Places(context, builder, array, x, start, start)
        spread = [_spread(builder, scales.number(row)) for row in range(tile.rows)]
        for column in range(tile.columns):  # the compiler keeps to it: one more register is enough
            seen = vectors.load(0, column)
            for row in range(tile.rows):
                found = _add_product(builder, found, row * tile.columns + column, spread[row], seen)
        return found

    return tile(tile, weights, types.intp, types.intp, array, types.intp), generate


@intrinsic
def add_products(_, tile, left, at, step, right, starts):
    """Add to each vector the products of two: its row's of ``left`` and its column's of ``right``.

    Those of ``left`` begin at ``at`` and lie ``step`` apart, those of ``right`` begin where a tuple says.
    """

    def generate(context, builder, signature, arguments):
        found, q, at, step, x, starts = arguments
        rows = _Places(context, builder, left, q, _disguise(builder, at), step)
        firsts = [rows.load(row, 0) for row in range(tile.rows)]
        seconds = []
        for column in range(tile.columns):
            start = builder.extract_value(starts, column)
            seconds.append(_Places(context, builder, right, x, start, start).load(0, 0))
        for number, row, column in tile.places():
            found = _add_product(builder, found, number, firsts[row], seconds[column])
        return found

    many = types.UniTuple(types.intp, tile.columns)
    return tile(tile, left, types.intp, types.intp, right, many), generate


@intrinsic
def add_sums(_, tile, array, at, step, across):
    """Add to numbers of an array the sums of a tile's vectors.

    Those of rows lie ``step`` apart, from ``at`` on, those of columns ``across``.
    """

    def generate(context, builder, signature, arguments):
        vectors, z, at, step, across = arguments
        for number, row, column in tile.places():
            start = builder.add(at, builder.mul(across, ir.Constant(across.type, column)))
            place = _Places(context, builder, array, z, start, step).pointer(row)
            total = _sum(builder, builder.extract_value(vectors, number))
            builder.store(builder.fadd(builder.load(place), total), place)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp, types.intp), generate


class _Places:
    """Where numbers and vectors of an array are, in the program that a builder writes."""

    def __init__(self, context, builder, kind, array, at, step):
        if kind.layout != "C" or kind.ndim != 1 or kind.dtype != types.float32:
            raise TypeError(f"expected a contiguous array of float32 with one dimension, got {kind}")
        self.builder = builder
        self.data = context.make_array(kind)(context, builder, array).data
        self.at = at
        self.step = step

    def pointer(self, row, column=0):
        """Where a number is, or a vector begins."""
        builder, kind = self.builder, self.at.type
        start = builder.add(self.at, builder.mul(self.step, ir.Constant(kind, row)))
        return builder.gep(self.data, [builder.add(start, ir.Constant(kind, LANES * column))])

    def number(self, row):
        return self.builder.load(self.pointer(row))

    def load(self, row, column):
        pointer = self.builder.bitcast(self.pointer(row, column), _VECTOR.as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, vector, row, column):
        pointer = self.builder.bitcast(self.pointer(row, column), _VECTOR.as_pointer())
        self.builder.store(vector, pointer, align=4)


def _tile_type(rows, columns):
    return Tile(rows.literal_value, columns.literal_value)


def _disguise(builder, number):
    """The same number, as one that the compiler knows nothing of.

    It would notice that the taps of a convolution read the same vectors as others, load all of them once and,
    for lack of registers, write them to memory again.
    """
    kind = ir.FunctionType(number.type, [number.type])
    return builder.asm(kind, "", "=r,0", [number], False)  # no instruction at all


def _spread(builder, number):
    """A vector of one number."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES))


def _add_product(builder, tile, number, left, right):
    """The tile with a product added to one of its vectors."""
    total = fuse(builder, left, right, builder.extract_value(tile, number))
    return builder.insert_value(tile, total, number)


def _sum(builder, vector):
    """The sum of a vector: its halves are added, and so on."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        halves = [
            builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_LANE, lanes), list(half)))
            for half in (range(lanes), range(lanes, 2 * lanes))
        ]
        vector = builder.fadd(*halves)
    return builder.extract_element(vector, ir.Constant(_LANE, 0))
