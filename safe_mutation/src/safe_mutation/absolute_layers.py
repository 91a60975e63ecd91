"""Linear layers whose gradients for weight and bias sum absolute values over experiences.

    sum_i |g_i a_i'| = |G|' |A|,    sum_i |g_i|

take the places of the ordinary gradients G'A and sum_i g_i. Gradients for a layer's inputs are the
ordinary ones, so that the layers before it get theirs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def affine(weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool) -> Tensor:
    """Compute weight @ data + bias, or data @ weight + bias, with absolute gradients for weight and bias.

    Args:
        weight: (N, out, in), or (N, in, out) behind the data; without the N inside vmap or for one genome.
        data: (N, in, I), or (N, I, in) before the weight.
        bias: (N, out, 1), or (N, 1, out) with the data first.
        weight_first: Whether the weight is the left factor.
    """
    function = _MappedAffine if torch._C._functorch.is_batchedtensor(weight) else _Affine
    outputs: Tensor = function.apply(weight, data, bias, weight_first)
    return outputs


def shift(data: Tensor, bias: Tensor, axis: int) -> Tensor:
    """Compute data + bias with absolute gradients for the bias, shared by experiences along ``axis``."""
    function = _MappedShift if torch._C._functorch.is_batchedtensor(bias) else _Shift
    outputs: Tensor = function.apply(data, bias, axis)
    return outputs


class _Affine(torch.autograd.Function):
    """Left @ right + bias, whose gradients for weight and bias sum absolute values over experiences."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool) -> Tensor:
        ctx.save_for_backward(weight, data)
        ctx.weight_first = weight_first
        left, right = (weight, data) if weight_first else (data, weight)
        if bias is None:
            return left @ right
        return torch.baddbmm(bias, left, right) if data.ndim == 3 else torch.addmm(bias, left, right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        weight, data = ctx.saved_tensors
        size = gradient.abs()
        to_data = to_bias = None
        if ctx.needs_input_grad[2]:
            to_bias = size.sum(-1 if ctx.weight_first else -2, keepdim=True)
        if ctx.weight_first:
            if ctx.needs_input_grad[1]:
                to_data = weight.mT @ gradient
            return size @ data.abs().mT, to_data, to_bias, None
        if ctx.needs_input_grad[1]:
            to_data = gradient @ weight.mT
        return data.abs().mT @ size, to_data, to_bias, None


class _Shift(torch.autograd.Function):
    """Data + bias, the bias being the same for all experiences along an axis."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, bias: Tensor, axis: int) -> Tensor:
        ctx.axis = axis
        return data + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        return gradient, gradient.abs().sum(ctx.axis, keepdim=True), None


class _MappedAffine(torch.autograd.Function):
    """What vmap calls in place of _Affine: the same for all lanes at once."""

    @staticmethod
    def vmap(
        info: Any,
        axes: tuple[Any, ...],
        weight: Tensor,
        data: Tensor,
        bias: Tensor | None,
        weight_first: bool,
    ) -> tuple[Tensor, int]:
        weight, data = _lanes(weight, axes[0], info), _lanes(data, axes[1], info)
        return affine(weight, data, None if bias is None else _lanes(bias, axes[2], info), weight_first), 0

    @staticmethod
    def forward(weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool) -> Tensor:
        raise NotImplementedError("only called by vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the lanes' own function keeps what it needs."""


class _MappedShift(torch.autograd.Function):
    """What vmap calls in place of _Shift."""

    @staticmethod
    def vmap(info: Any, axes: tuple[Any, ...], data: Tensor, bias: Tensor, axis: int) -> tuple[Tensor, int]:
        return shift(_lanes(data, axes[0], info), _lanes(bias, axes[1], info), axis), 0

    @staticmethod
    def forward(data: Tensor, bias: Tensor, axis: int) -> Tensor:
        raise NotImplementedError("only called by vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the lanes' own function keeps what it needs."""


def _lanes(value: Tensor, axis: int | None, info: Any) -> Tensor:
    """A tensor that vmap has taken apart, with the lanes as its first axis."""
    return value.expand(info.batch_size, *value.shape) if axis is None else value.movedim(axis, 0)
