"""Telling a lack of memory apart from everything else that can go wrong in a pass through a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# What torch's allocator for the processor and the libraries for GPUs say in a plain RuntimeError.
_ALLOCATOR = (
    "DefaultCPUAllocator", "not enough memory", "Cannot allocate memory", "CUDA error: out of memory",
    "STATUS_ALLOC_FAILED",
)  # fmt: skip


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU, in torch on the processor, or in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATOR)


@contextmanager
def naming_chunk_size() -> Iterator[None]:
    """Pass a lack of memory on as it is, with the option that lowers the need."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error) or "chunk_size" in str(error):
            raise
        # numpy's own kind of MemoryError takes other arguments than a message.
        kind = MemoryError if isinstance(error, MemoryError) else type(error)
        raise kind(
            f"not enough memory for so much at once: pass a smaller chunk_size to the operator ({error})"
        ) from error
