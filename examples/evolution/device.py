"""Where networks are computed: compiled on the processor, or by torch on a device such as a GPU.

In a search on a device genomes and sensitivities are tensors that stay there; a checkpoint, and whoever asks
``on_host``, gets arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.out_of_memory import lacks_memory

Device = torch.device | None
"""None for numpy arrays and the compiled networks."""


def read_device(name: str) -> torch.device:
    """The device of a name such as "cuda" or "cuda:1".

    Raises:
        ValueError: If torch does not see it.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        seen = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        raise ValueError(
            f"expected a device that torch {torch.__version__} can use, got {name!r}: of CUDA devices it "
            f"sees {', '.join(seen) or 'none'} ({str(error).splitlines()[0]})"
        ) from None
    return device


def card(device: Device) -> str:
    """The name of a GPU, to be added to that of the machine; nothing for a processor."""
    return f", {torch.cuda.get_device_name(device)}" if device is not None and device.type == "cuda" else ""


def stacked(arrays: Iterable[Any], device: Device) -> Any:
    """Arrays of one shape as one (N, ...): numpy, or a tensor on the device."""
    if device is None:
        return np.stack(list(arrays))
    return torch.stack([torch.as_tensor(array, device=device) for array in arrays])


def copied(array: Any) -> Any:
    """The same numbers in memory of their own."""
    return array.clone() if isinstance(array, Tensor) else array.copy()


def on_host(array: Any) -> Any:
    """A tensor as a numpy array; anything else as it is."""
    return array.cpu().numpy() if isinstance(array, Tensor) else array


def noise_source(stream: np.random.Generator, device: Device) -> Any:
    """What draws the noise of one child where it is needed: a stream, or a generator that starts from it."""
    if device is None:
        return stream
    return torch.Generator(device).manual_seed(int(stream.integers(2**63)))


@contextmanager
def naming_what_to_lower(networks: int) -> Iterator[None]:
    """Say what to do when memory runs out.

    Args:
        networks: How many there are at once.

    Raises:
        MemoryError: If it does.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise MemoryError(
            f"expected memory for {networks} networks at once, got too little "
            f"({str(error).splitlines()[0]}): lower --group, --guess or --runs, which is "
            "another experiment, with another folder; the checkpoint of this one is kept"
        ) from error
