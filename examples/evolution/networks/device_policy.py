"""Decisions of networks that are computed where their genomes are, a GPU for example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class Policy(Protocol):
    """What networks decide on one observation of each, step after step."""

    def __call__(self, observations: np.ndarray) -> Any:
        """Map observations (N, in) to outputs (N, out): an array, or what ``np.asarray`` makes one of."""


class Answer:
    """Outputs (N, out) that a GPU may still be computing; it is an array to whoever looks at it.

    Args:
        outputs: On the GPU.
    """

    def __init__(self, outputs: Tensor) -> None:
        self._arrived = torch.empty(outputs.shape, dtype=outputs.dtype, pin_memory=True)
        self._arrived.copy_(outputs, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(outputs.device))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._event.synchronize()
        values = self._arrived.numpy()
        return values if dtype is None else values.astype(dtype)


class DevicePolicy:
    """Decides on a device while its caller does something else.

    Args:
        decide: Maps observations (N, in) to outputs (N, out), both on the device.
        device: Where.
    """

    def __init__(self, decide: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._decide = decide
        self._device = device

    def __call__(self, observations: np.ndarray) -> np.ndarray | Answer:
        """Begin to map one observation of each network (N, in) to outputs (N, out), float32."""
        with torch.inference_mode():
            seen = torch.from_numpy(observations)
            if self._device.type != "cuda":
                return self._decide(seen.to(self._device)).cpu().numpy()
            return Answer(self._decide(seen.pin_memory().to(self._device, non_blocking=True)))
