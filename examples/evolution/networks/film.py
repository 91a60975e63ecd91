"""Films: sequences of pictures in which many are equal.

Mazes look alike in many places: of the 40 pictures of an episode in the top-down maze some 6 are
distinct, of the 100 in the first-person maze some 30. A film keeps each of them once:

* "pictures", (..., D, height, width); those that the order does not name are ignored;
* "order", (..., T), which of them is seen at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Film = dict[str, Any]


def film(pictures: np.ndarray) -> Film:
    """Sequences of pictures (..., T, height, width) as films, in which equal ones have the same number."""
    sequences = pictures.reshape(-1, *pictures.shape[-3:])
    order = np.empty(sequences.shape[:2], dtype=np.int64)
    for numbers, sequence in zip(order, sequences, strict=True):
        first: dict[bytes, int] = {}
        numbers[:] = [first.setdefault(picture.tobytes(), t) for t, picture in enumerate(sequence)]
    return {"pictures": pictures, "order": order.reshape(pictures.shape[:-2])}


def together(films: Sequence[Any]) -> Film | None:
    """Films as one, (N, ...), that all have as many pictures: behind their own come black ones.

    None if they are not equally long, or something else than films.
    """
    if not all(isinstance(one, dict) and one.keys() == {"pictures", "order"} for one in films):
        return None
    if len({one["order"].shape for one in films}) > 1:
        return None
    most = max(one["pictures"].shape[-3] for one in films)
    *sequences, _, height, width = films[0]["pictures"].shape
    pictures = np.zeros((len(films), *sequences, most, height, width), np.uint8)
    for row, one in zip(pictures, films, strict=True):
        row[..., : one["pictures"].shape[-3], :, :] = one["pictures"]
    return {"pictures": pictures, "order": np.stack([one["order"] for one in films])}
