"""Linear layers whose gradients for weight and bias sum powers of absolute values over experiences.

    sum_i |g_i a_i'|^p = (|G|^p)' |A|^p,    sum_i |g_i|^p,    p = 1 or 2 (entry by entry)

take the places of the ordinary gradients G'A and sum_i g_i. Gradients for a layer's inputs are the
ordinary ones, so that the layers before it get theirs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from safe_mutation.row_sums import raised
from safe_mutation.torch_internals import is_mapped


def affine(weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool, power: int) -> Tensor:
    """Compute weight @ data + bias, or data @ weight + bias, with such gradients for weight and bias.

    Args:
        weight: (N, out, in), or (N, in, out) behind the data; without the N inside vmap or for one genome.
        data: (N, in, I), or (N, I, in) before the weight.
        bias: (N, out, 1), or (N, 1, out) with the data first.
        weight_first: Whether the weight is the left factor.
        power: p, 1 or 2.
    """
    function = _MappedAffine if is_mapped(weight) else _Affine
    outputs: Tensor = function.apply(weight, data, bias, weight_first, power)
    return outputs


def shift(data: Tensor, bias: Tensor, axis: int, power: int) -> Tensor:
    """Compute data + bias with such gradients for the bias, shared by experiences along ``axis``."""
    function = _MappedShift if is_mapped(bias) else _Shift
    outputs: Tensor = function.apply(data, bias, axis, power)
    return outputs


class _Affine(torch.autograd.Function):
    """Left @ right + bias, whose gradients for weight and bias sum powers over experiences."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool, power: int
    ) -> Tensor:
        ctx.save_for_backward(weight, data)
        ctx.weight_first, ctx.power = weight_first, power
        left, right = (weight, data) if weight_first else (data, weight)
        if bias is None:
            return left @ right
        return torch.baddbmm(bias, left, right) if data.ndim == 3 else torch.addmm(bias, left, right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        weight, data = ctx.saved_tensors
        size = raised(gradient, ctx.power)
        to_data = to_bias = None
        if ctx.needs_input_grad[2]:
            to_bias = size.sum(-1 if ctx.weight_first else -2, keepdim=True)
        if ctx.weight_first:
            if ctx.needs_input_grad[1]:
                to_data = weight.mT @ gradient
            return size @ raised(data, ctx.power).mT, to_data, to_bias, None, None
        if ctx.needs_input_grad[1]:
            to_data = gradient @ weight.mT
        return raised(data, ctx.power).mT @ size, to_data, to_bias, None, None


class _Shift(torch.autograd.Function):
    """Data + bias, the bias being the same for all experiences along an axis."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, bias: Tensor, axis: int, power: int) -> Tensor:
        ctx.axis, ctx.power = axis, power
        return data + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return gradient, raised(gradient, ctx.power).sum(ctx.axis, keepdim=True), None, None


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
        power: int,
    ) -> tuple[Tensor, int]:
        weight, data = _lanes(weight, axes[0], info), _lanes(data, axes[1], info)
        bias = None if bias is None else _lanes(bias, axes[2], info)
        return affine(weight, data, bias, weight_first, power), 0

    @staticmethod
    def forward(weight: Tensor, data: Tensor, bias: Tensor | None, weight_first: bool, power: int) -> Tensor:
        raise NotImplementedError("only called by vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the lanes' own function keeps what it needs."""


class _MappedShift(torch.autograd.Function):
    """What vmap calls in place of _Shift."""

    @staticmethod
    def vmap(
        info: Any, axes: tuple[Any, ...], data: Tensor, bias: Tensor, axis: int, power: int
    ) -> tuple[Tensor, int]:
        return shift(_lanes(data, axes[0], info), _lanes(bias, axes[1], info), axis, power), 0

    @staticmethod
    def forward(data: Tensor, bias: Tensor, axis: int, power: int) -> Tensor:
        raise NotImplementedError("only called by vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the lanes' own function keeps what it needs."""


def _lanes(value: Tensor, axis: int | None, info: Any) -> Tensor:
    """A tensor that vmap has taken apart, with the lanes as its first axis."""
    return value.expand(info.batch_size, *value.shape) if axis is None else value.movedim(axis, 0)
