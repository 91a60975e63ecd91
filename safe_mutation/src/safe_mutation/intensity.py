"""How strong a mutation is: a standard deviation, or how far the behaviour may diverge (equation 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from safe_mutation.arguments import require_positive
from safe_mutation.noise import Streams, uniform

Divergence: TypeAlias = "float | tuple[float, float] | Sequence[float]"
"""A number; a pair from which every child's is drawn log-uniformly; or a list with one for each parent."""


def read_divergence(divergence: Any) -> Divergence:
    """A divergence as an operator keeps it: a number, a pair, or a list.

    Raises:
        ValueError: If it is none of these, or numbers are not positive.
    """
    if isinstance(divergence, Tensor):
        divergence = divergence.tolist()
    if isinstance(divergence, tuple):
        for value in divergence:
            require_positive("divergence", value)
        if len(divergence) != 2 or divergence[0] >= divergence[1]:
            raise ValueError(f"expected divergence as a pair (low, high), got {divergence!r}")
        return divergence
    if isinstance(divergence, (list, np.ndarray)) and np.ndim(divergence) == 1:
        values: list[float] = np.asarray(divergence).tolist()
        if not values:
            raise ValueError("expected a divergence for each parent, got an empty list")
        for value in values:
            require_positive("divergence", value)
        return values
    require_positive("divergence", divergence)
    return float(divergence)


def targets(divergence: Divergence, parents: int, streams: Streams) -> np.ndarray:
    """The divergence of each child (N,).

    Raises:
        ValueError: If there is a list of another length than N.
    """
    if isinstance(divergence, tuple):
        low, high = np.log(divergence)
        return np.exp(low + (high - low) * uniform(streams.search, parents))
    if isinstance(divergence, list):
        if len(divergence) != parents:
            pair = (
                f": to draw from a pair, give the tuple {tuple(divergence)}" if len(divergence) == 2 else ""
            )
            raise ValueError(f"expected one divergence per parent ({parents}), got {len(divergence)}{pair}")
        return np.array(divergence)
    return np.full(parents, divergence)


def require_one_of(sigma: Any, divergence: Any) -> None:
    """Refuse both or neither.

    Raises:
        ValueError: If both or neither are given.
    """
    if (sigma is None) == (divergence is None):
        got = "neither" if sigma is None else f"sigma={sigma!r} and divergence={divergence!r}"
        raise ValueError(f"expected either sigma or divergence, got {got}")
    if sigma is not None:
        require_positive("sigma", sigma)
