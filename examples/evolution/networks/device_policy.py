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
    """Outputs (N, out) on their way from a GPU; an array to whoever looks at it.

    Args:
        arriving: Where they arrive.
        arrived: When they have.
    """

    def __init__(self, arriving: Tensor, arrived: torch.cuda.Event) -> None:
        self._arriving, self._arrived = arriving, arrived
        self._values: np.ndarray | None = None

    def values(self) -> np.ndarray:
        """Wait for them."""
        if self._values is None:
            self._arrived.synchronize()
            self._values = self._arriving.numpy().copy()
        return self._values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.values()
        return values if dtype is None else values.astype(dtype)


class DevicePolicy:
    """Decides layer by layer, as torch computes a network.

    Args:
        decide: Maps observations (N, in) to outputs (N, out), both on the device.
        device: Where.
    """

    def __init__(self, decide: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._decide = decide
        self._device = device

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Map one observation of each network (N, in) to outputs (N, out), float32."""
        with torch.inference_mode():
            outputs: np.ndarray = self._decide(torch.from_numpy(observations).to(self._device)).cpu().numpy()
        return outputs


class RecordedPolicy:
    """Decides on a GPU, by a kernel recorded once, while its caller does something else.

    The way there, the kernel and the way back are one launch, beside those of other policies.

    Args:
        decide: Writes outputs for observations (N, in) into a tensor (N, out), both on the GPU; it allocates
            nothing there.
        inputs: Shape (N, in).
        outputs: Shape (N, out).
        device: The GPU.
    """

    def __init__(
        self,
        decide: Callable[[Tensor, Tensor], None],
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        device: torch.device,
    ) -> None:
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))  # what decides has to be there
        self._seen = torch.empty(inputs, pin_memory=True)
        self._answers = torch.empty(outputs, pin_memory=True)
        self._arrived = torch.cuda.Event()
        self._last: Answer | None = None
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._there = torch.empty(inputs, device=device), torch.empty(outputs, device=device)
            decide(*self._there)  # compiled before it is recorded
            self._graph = torch.cuda.CUDAGraph()
            self._graph.capture_begin(capture_error_mode="thread_local")
            self._there[0].copy_(self._seen, non_blocking=True)
            decide(*self._there)
            self._answers.copy_(self._there[1], non_blocking=True)
            self._graph.capture_end()
        self._decide = decide  # what was recorded reads its weights

    def __call__(self, observations: np.ndarray) -> Answer:
        """Begin to map one observation of each network (N, in) to outputs (N, out), float32.

        Raises:
            ValueError: If the observations have another shape.
        """
        if observations.shape != tuple(self._seen.shape):
            raise ValueError(
                f"expected observations of shape {tuple(self._seen.shape)}, got {observations.shape}"
            )
        if self._last is not None:
            self._last.values()  # its place is needed
        self._seen.numpy()[:] = observations
        with torch.cuda.stream(self._stream):
            self._graph.replay()
            self._arrived.record()
        self._last = Answer(self._answers, self._arrived)
        return self._last

    def __del__(self) -> None:
        last: Answer | None = getattr(self, "_last", None)  # it may have failed to begin
        if last is not None:
            last.values()  # before others get the memory
