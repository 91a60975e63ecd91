"""Computing as if the caller had set nothing: a mutation comes out the same in any of torch's contexts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_mode() -> Iterator[None]:
    """Leave inference mode, whose tensors take no part in gradients, and autocast, which rounds to 16 bits.

    Both are settings of the thread, and come back at the end.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
