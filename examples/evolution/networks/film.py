"""Sequences of pictures in which many are equal."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Film(NamedTuple):
    """Pictures, and in which order they are seen.

    Mazes look alike in many places: of the 40 pictures of an episode in the top-down maze some 6 are
    distinct, of the 100 in the first-person maze some 30.

    Attributes:
        pictures: (..., D, height, width); those that ``order`` does not name are ignored.
        order: Which of them is seen at each step (..., T).
    """

    pictures: Any
    order: Any


def film(pictures: np.ndarray) -> Film:
    """Sequences of pictures (..., T, height, width) as films, in which equal ones have the same number."""
    sequences = pictures.reshape(-1, *pictures.shape[-3:])
    order = np.empty(sequences.shape[:2], dtype=np.int64)
    for numbers, sequence in zip(order, sequences, strict=True):
        first: dict[bytes, int] = {}
        numbers[:] = [first.setdefault(picture.tobytes(), t) for t, picture in enumerate(sequence)]
    return Film(pictures, order.reshape(pictures.shape[:-2]))
