"""Everything of torch that is not public, in one place, each with what happens where a version lacks it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

_functorch: Any = getattr(torch._C, "_functorch", None)
_silent = 0
_gaps = threading.Condition(threading.RLock())


def is_mapped(value: Any) -> bool:
    """Whether torch.vmap has wrapped a tensor; False where that cannot be told."""
    test = getattr(_functorch, "is_batchedtensor", None)
    return test is not None and isinstance(value, Tensor) and bool(test(value))


def is_transformed(value: Any) -> bool:
    """Whether vmap or a derivative of torch.func has wrapped a tensor; False where that cannot be told."""
    test = getattr(_functorch, "is_functorch_wrapped_tensor", None)
    return test is not None and isinstance(value, Tensor) and bool(test(value))


def is_dual(value: Tensor) -> bool:
    """Whether a tensor carries a tangent of forward-mode differentiation."""
    return forward_ad.unpack_dual(value).tangent is not None


def unmapped(value: Tensor) -> Tensor:
    """The tensor (N, ...) behind one that vmap has wrapped."""
    while is_mapped(value):
        value = _functorch.get_unwrapped(value)
    return value


def convert(module: nn.Module, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """Move a module in place, as its method ``to`` does, but complex numbers to the complex dtype."""
    return module._apply(lambda tensor: tensor.to(device, converted(tensor.dtype, dtype)))


def converted(dtype: torch.dtype, to: torch.dtype) -> torch.dtype:
    """The dtype that ``convert`` gives a tensor; integers and booleans stay as they are."""
    if dtype.is_complex:
        return to.to_complex()
    return to if dtype.is_floating_point else dtype


def leaves_of_graph(outputs: Tensor) -> set[int]:
    """Identities of the leaf tensors that outputs depend on, found without computing a gradient."""
    todo, seen, found = [outputs.grad_fn], set(), set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found.add(id(getattr(node, "variable", None)))
            todo += [following for following, _ in node.next_functions]
    return found


@contextmanager
def gaps_are_errors() -> Iterator[None]:
    """Raise where vmap has no rule for an operation and would loop in its place.

    Warning filters belong to the whole process: only for trying something out, once for a network, and
    while no other thread is in ``gaps_are_silent``.
    """
    with _gaps:
        _gaps.wait_for(lambda: _silent == 0)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*performance drop", category=UserWarning)
            yield


@contextmanager
def gaps_are_silent() -> Iterator[None]:
    """Let vmap loop where it has no rule, without its warning at each such operation."""
    _count_silent(1)
    try:
        yield
    finally:
        _count_silent(-1)


def _count_silent(change: int) -> None:
    """The switch is for all threads: the first to need silence turns it off, the last turns it on again."""
    global _silent
    switch = getattr(_functorch, "_set_vmap_fallback_warning_enabled", None)
    with _gaps:
        _silent += change
        if switch is not None:
            switch(_silent == 0)
        _gaps.notify_all()
