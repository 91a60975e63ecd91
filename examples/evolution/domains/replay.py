"""Pictures of an episode as its network lives it: what it sees beside where it is."""

from __future__ import annotations

import numpy as np

PAPER = 255
GAP = 12  # pixels


def beside(seen: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Put what a network sees, gray levels (h, w), enlarged to the left of a picture (height, width, 3)."""
    zoom = max(1, (len(chart) - 2 * GAP) // len(seen))
    left = seen.repeat(zoom, axis=0).repeat(zoom, axis=1)
    frame = np.full((len(chart), left.shape[1] + 2 * GAP + chart.shape[1], 3), PAPER, dtype=np.uint8)
    top = (len(chart) - len(left)) // 2
    frame[top : top + len(left), GAP : GAP + left.shape[1]] = left[..., None]
    frame[:, -chart.shape[1] :] = chart
    return frame


def bars(values: np.ndarray, width: int = 12) -> np.ndarray:
    """A network's inputs (I,), from 0 to 1, as black bars on gray, one below the other: (2 I + 1, width)."""
    filled = np.arange(width) < np.round(np.clip(values, 0, 1) * width)[:, None]
    picture = np.full((2 * len(values) + 1, width), 225, dtype=np.uint8)
    picture[1::2] = np.where(filled, 30, 190)
    return picture
