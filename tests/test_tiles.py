"""Tiles of sums in kernels, against plain loops, and their fused products, against exact fractions."""

from fractions import Fraction

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

from evolution.networks.fused_products import multiply_add
from evolution.networks.tiles import (
    LANES,
    add_products,
    add_sums,
    add_weighted,
    load_tile,
    store_tile,
    zero_tile,
)
from own_process import run_anew

RNG = np.random.default_rng(21)


@numba.njit
def fuse_numbers(a, b, c, found):
    for i in range(len(a)):
        found[i] = multiply_add(a[i], b[i], c[i])


@numba.njit
def fuse_vectors(a, b, c, found):
    for i in range(0, len(a), LANES):
        tile = add_products(load_tile(c, i, 0, 1, 1), a, i, 0, b, (i,))
        store_tile(tile, found, i, 0)


def hard_triples():
    """a, b and c (N,): random ones, and those whose sum lies all but halfway between two float32."""
    a, b, c = (RNG.standard_normal((1024,)).astype(np.float32) for _ in range(3))
    c *= np.float32(2) ** RNG.integers(-60, 40, 1024).astype(np.float32)
    c[:256] = -(a * b)[:256]
    # a * b is half of the last digit of c, but for a part too small for a double beside c
    steps = RNG.integers(1, 40, 512) * np.float32(2**-23)
    a[512:], b[512:] = (1 + steps) * np.float32(2**-24), 1 - steps
    c[512:] = (1 + RNG.integers(0, 2**23, 512) * np.float32(2**-23)) * RNG.choice([-1, 1], 512)
    a[-8:] *= np.float32(2**-115)  # a product among the smallest numbers
    c[-4:] = 0
    c[-8:-4] = np.float32(2**-149)
    return a, b, c


def exactly(a, b, c):
    """The float32 nearest to a * b + c; of two the one whose last bit is zero."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))
    candidates = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(candidates, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.int32)) & 1))


def check_products():
    """Compare both ways to fuse with the exact results."""
    a, b, c = hard_triples()
    expected = np.array([exactly(*triple) for triple in zip(a, b, c, strict=True)])
    rounded_twice = (a.astype(float) * b + c).astype(np.float32)
    assert (rounded_twice != expected).sum() > 20, "the triples are too easy"
    for way in (fuse_numbers, fuse_vectors):
        found = np.full_like(a, np.nan)
        way(a, b, c, found)
        np.testing.assert_array_equal(found, expected)
        endless = np.array([np.inf, np.nan, 1e30, -np.inf] * 4, np.float32)
        way(endless, np.full(16, 1e30, np.float32), -endless, found)
        np.testing.assert_array_equal(found[:4], [np.nan, np.nan, np.inf, np.nan])


def test_products_are_rounded_once():
    check_products()


@pytest.mark.parametrize("processor", ["generic", "this one"])
def test_products_are_rounded_once_on_another_processor(processor):
    given = {"NUMBA_CPU_NAME": processor} if processor == "generic" else {}
    found = run_anew("-W", "ignore", __file__, **given)
    assert (found.strip() == "generic") == (processor == "generic")


@numba.njit
def weighted(weights, seen, sums, found):
    tile = load_tile(sums, 3, 100, 3, 2)
    for tap in range(5):
        tile = add_weighted(tile, weights, 7 + tap, 10, seen, 4 + tap)
    store_tile(tile, found, 5, 120)


def test_weighted_vectors_are_added_to_rows():
    weights, seen, sums = (RNG.standard_normal(400).astype(np.float32) for _ in range(3))
    found = np.zeros(400, np.float32)
    weighted(weights, seen, sums, found)
    expected = np.zeros(400)
    for row in range(3):
        for place in range(2 * LANES):
            products = [float(weights[7 + 10 * row + tap]) * float(seen[4 + tap + place]) for tap in range(5)]
            expected[5 + 120 * row + place] = float(sums[3 + 100 * row + place]) + sum(products)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found == 0, expected == 0)


@numba.njit
def summed(left, right, found):
    tile = zero_tile(2, 3)
    for row in range(4):
        at = row * LANES
        tile = add_products(tile, left, 1 + at, 100, right, (at, at + 9, at + 200))
    add_sums(tile, found, 2, 20, 5)


def test_products_of_vectors_are_summed():
    left, right = (RNG.standard_normal(400).astype(np.float32) for _ in range(2))
    found = np.ones(50, np.float32)
    summed(left, right, found)
    expected = np.ones(50)
    for row in range(2):
        for column, start in enumerate((0, 9, 200)):
            pairs = [(left[1 + 100 * row + p], right[start + p]) for p in range(4 * LANES)]
            expected[2 + 20 * row + 5 * column] += sum(float(a) * float(b) for a, b in pairs)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    check_products()
    print(cpu_target.target_context.codegen().magic_tuple()[1])
