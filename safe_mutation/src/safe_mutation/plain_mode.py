"""Computing as if the caller had set nothing: a mutation comes out the same in any of torch's contexts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_mode() -> Iterator[None]:
    """Leave no_grad, inference mode, whose tensors take no part in gradients, and autocast, which rounds.

    They are settings of the thread, and come back at the end.
    """
    rounding = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and not rounding:
        yield  # nothing to leave, as in most calls
        return
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))  # which also turns gradients on
        for device in rounding:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield
