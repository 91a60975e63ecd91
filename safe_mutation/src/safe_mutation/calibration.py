"""From a divergence to the sigma that brings it about: for those who want the paper's fixed sigma."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from safe_mutation import line_search
from safe_mutation.arguments import require_positive
from safe_mutation.experiences import Experiences
from safe_mutation.noise import Generator, read_owned
from safe_mutation.plain_mode import plain_mode

Operator = TypeVar("Operator", bound=Any)

CHILDREN = 100  # at least so many are made
PASSES = 40  # of a search: one that gives up has found no sigma


def calibrate(
    operator: Operator,
    params: Any,
    *,
    divergence: float,
    experiences: Experiences | None = None,
    per_parent: bool = False,
    generator: Generator | Callable[[], Generator] = None,
) -> Operator:
    """The operator with the sigma whose children diverge by so much in the median.

    It holds for parents and experiences like these: networks change while they evolve. An operator
    with ``divergence=`` needs no calibration.

    Args:
        operator: An operator with sigma or divergence, whose other settings stay; one with a divergence gets
            ``floor=None``, by which its children go the same way as before.
        params: Parents (N, P), or one parent (P,).
        divergence: Wanted median of equation 1.
        experiences: As in a call.
        per_parent: As in a call.
        generator: A seed or generator; None for the operator's own, or fresh entropy.

    Raises:
        TypeError: If the operator has no network; and as in a call.
        ValueError: If the operator has another exponent than 1, or the median child cannot reach the
            divergence, whatever sigma is; and as in a call.
    """
    require_positive("divergence", divergence)
    if operator.network is None:
        raise TypeError(f"expected {type(operator).__name__} with a network, got one without")
    if (exponent := getattr(operator, "exponent", 1)) != 1:
        name = type(operator).__name__
        raise ValueError(f"expected {name} with an exponent of 1, which any with a sigma has, got {exponent}")
    own = operator._with_sigma(1.0)
    source = read_owned(generator)
    found: list[float] = []
    with plain_mode():
        while len(found) < CHILDREN:
            drawn = source() if callable(source) else source
            request = own._read(params, experiences, per_parent, drawn, used=True, required=True)
            step = own._by_sigma(request)
            everyone = slice(None)
            steps = step(torch.ones(len(request.params), 1).to(request.params), everyone)
            result = line_search.search(
                own.network,
                request.params,
                step,
                request.inputs,
                np.full(len(request.params), divergence),
                line_search.cautious(request.params, steps),
                tolerance=own.tolerance,
                max_passes=max(own.max_passes, PASSES),
                chunk_size=own.chunk_size,
            )
            short = [status != "converged" for status in result.status] & (result.divergence < divergence)
            found += np.where(short, math.inf, result.magnitude).tolist()
    sigma = float(np.median(found))
    if math.isinf(sigma):
        raise ValueError(
            f"expected a divergence that children of these parents can reach, got {divergence:g}: "
            f"{sum(map(math.isinf, found))} of {len(found)} cannot"
        )
    return replace(own, sigma=sigma)
