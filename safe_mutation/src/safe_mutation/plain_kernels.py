"""Fused layers in elementary operations, for what torch's fused kernels have no rule for.

The kernels of recurrent layers and of attention can be differentiated backwards once, but mostly
neither forwards nor mapped over genomes or experiences. Their elementary operations can. Only calls of
the thread within the ``with`` block are replaced; no setting of the process is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from safe_mutation.recurrent_steps import STEPS, run_layers
from safe_mutation.stacked import Stacked


class OwnKernels(TorchFunctionMode):
    """Changes no call; but being there, it keeps torch from the fast path of attention, without gradients."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


class ExactEmbeddings(TorchFunctionMode):
    """Gives embeddings the gradients of their outputs, whatever their settings ask for in training.

    Padding keeps a row of an embedding from being trained; a bag leaves it out of its sum, and shall.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.embedding:
            kwargs = kwargs | {"padding_idx": None, "scale_grad_by_freq": False, "sparse": False}
        elif func is functional.embedding_bag:
            kwargs = kwargs | {"scale_grad_by_freq": False, "sparse": False}
        return func(*args, **kwargs)


class PlainKernels(TorchFunctionMode):
    """Replaces recurrent layers, recurrent cells and attention by their elementary operations."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if Stacked in types:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in STEPS and len(args) == 9 and not isinstance(args[3], (Tensor, tuple, list)):
            return _recurrent(name, *args)
        if name.endswith("_cell") and name.removesuffix("_cell") in STEPS:
            return _cell(name.removesuffix("_cell"), *args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        if func is functional.multi_head_attention_forward and not kwargs.get("need_weights", True):
            outputs, _ = func(*args, **(kwargs | {"need_weights": True}))  # computed in elementary operations
            return outputs, None
        return func(*args, **kwargs)


def _recurrent(
    name: str,
    inputs: Tensor,
    states: Any,
    weights: list[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    training: bool,
    both_ways: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """What torch's function of that name returns, without its dropout, which is refused before."""
    time = 1 if batch_first else 0
    states = states if isinstance(states, (tuple, list)) else (states,)
    outputs, ends = run_layers(
        STEPS[name],
        inputs.unbind(time),
        tuple(states),
        weights,
        layers=layers,
        directions=2 if both_ways else 1,
        linear=functional.linear,
        axis=-1,
    )
    return torch.stack(outputs, time), *(torch.stack(one) for one in zip(*ends, strict=True))


def _cell(name: str, inputs: Tensor, state: Any, *weights: Tensor | None) -> Any:
    """A step of a recurrent cell."""
    states = tuple(state) if isinstance(state, (tuple, list)) else (state,)
    given = [weight for weight in weights if weight is not None]
    found = STEPS[name](inputs, states, given, functional.linear, -1)
    return found if len(states) > 1 else found[0]


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Softmax(query key' scale + mask) value, as torch documents its function."""
    if dropout_p > 0:
        raise NotImplementedError("attention with dropout")
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        scores = (
            scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        )
        # A query that may look at nothing finds zeros, whose gradients are zeros, too.
        nothing = (scores == -math.inf).all(-1, keepdim=True)
        return scores.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0) @ value
    return scores.softmax(-1) @ value
