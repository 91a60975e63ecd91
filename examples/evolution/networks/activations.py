"""Activations of single numbers, compiled, for the loops of other kernels.

They are made of sums, products and quotients alone: nothing calls the machine's mathematical library, which
would keep the loop around from becoming vector instructions and rounds otherwise on another processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_safemaze.jit import kernel

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
SELU_SCALE = np.float32(1.0507009873554805)
SELU_ALPHA_SCALE = np.float32(1.0507009873554805 * 1.6732632423543772)


@kernel
def expm1(value: Any) -> Any:
    """expm1 of a float32 of at most 0: a polynomial of a 32nd, doubled five times by e (e + 2)."""
    limited = np.float32(-18) if value < np.float32(-18) else value  # expm1 is -1 from there on
    r = limited * np.float32(1 / 32)
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(1 / 2)
    e = (p * r) * r + r
    e = e * e + (e + e)
    e = e * e + (e + e)
    e = e * e + (e + e)
    e = e * e + (e + e)
    e = e * e + (e + e)
    return e


@kernel
def sigmoid(value: Any) -> Any:
    """1 / (1 + exp(-value)), to an absolute 1e-7."""
    e = expm1(-abs(value))
    return (ONE if value >= ZERO else ONE + e) / (TWO + e)


@kernel
def tanh(value: Any) -> Any:
    """The hyperbolic tangent."""
    e = expm1(-TWO * abs(value))
    size = -e / (TWO + e)
    return size if value >= ZERO else -size


@kernel
def selu(value: Any) -> Any:
    """The scaled exponential linear unit."""
    positive = ZERO if value < ZERO else value  # nan stays nan
    return SELU_SCALE * positive + SELU_ALPHA_SCALE * expm1(value if value < ZERO else ZERO)
