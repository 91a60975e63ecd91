"""Sums over rows: what SM-G-ABS and the root mean square make of the gradients of experiences.

With g_rk the gradient of output k for row r (an experience, or one of its time steps), over R rows:

* power 1, SM-G-ABS: s = sqrt( sum_k ( mean_r |g_rk| )^2 )
* power 2, root mean square: s = sqrt( sum_k mean_r g_rk^2 )
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def raised(values: Tensor, power: int) -> Tensor:
    """|values|^p in fresh memory."""
    return values.abs() if power == 1 else values.square()


def raised_(values: Tensor, power: int) -> Tensor:
    """|values|^p in place."""
    return values.abs_() if power == 1 else values.square_()


def combined(totals: Iterable[Tensor], rows: float | Tensor, power: int) -> Tensor:
    """The sensitivity s, from the sum over rows of |g_rk|^p for one output k after the other.

    Args:
        totals: K tensors (N, P), which are overwritten.
        rows: R, or (N, 1) where parents have different numbers of rows.
        power: p, 1 or 2.
    """
    found: Tensor | None = None
    for total in totals:
        if found is None:
            found = total
        elif power == 2:
            found += total
        else:
            torch.hypot(found, total, out=found)  # squares of tiny gradients would underflow
    assert found is not None  # there is at least one output
    found.div_(rows)
    return found.sqrt_() if power == 2 else found
