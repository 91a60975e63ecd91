"""A network's outputs, checked, as rows; and what to do about outputs that are no such thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from safe_mutation.arrays import is_array, read_array, require_dense


def read_outputs(outputs: Any, params: Tensor, experiences: int) -> Tensor:
    """Outputs as rows (N, R, K): R = I experiences, or I*T with outputs at each time step.

    Args:
        outputs: What the network returned: (N, I, K) or (N, I, T, K). Integers become numbers of the genomes'
            dtype, without a gradient.
        params: Genomes (N, P).
        experiences: Number of experiences I.

    Raises:
        TypeError: If it is no array of real numbers; the message says how to make one of it.
        ValueError: If it has another shape.
    """
    if isinstance(outputs, Tensor):
        require_dense(outputs, "outputs")  # which keep their graph
    elif is_array(outputs):
        outputs = read_array(outputs, "outputs").to(params.device)
    else:
        raise TypeError(
            f"expected the network to return one tensor, got {type(outputs).__name__}: choose the outputs "
            f"that matter, for example FlatNetwork(module, forward=lambda module, x: {_choice(outputs)})"
        )
    if not outputs.is_floating_point():
        outputs = outputs.to(params.dtype)
    shape = tuple(outputs.shape)
    if outputs.ndim not in (3, 4) or shape[:2] != (len(params), experiences):
        raise ValueError(
            f"expected outputs of shape (N, I, K) or (N, I, T, K) for N = {len(params)} genomes and "
            f"I = {experiences} experiences, got {shape}{_cure(shape, (len(params), experiences))}"
        )
    if outputs.numel() == 0:
        raise ValueError(f"expected at least one output, got outputs of shape {shape}")
    return outputs.flatten(1, 2) if outputs.ndim == 4 else outputs


def _choice(outputs: Any) -> str:
    """How to get at a tensor in what a module returned."""
    if isinstance(outputs, Mapping):
        return f"module(x)[{next(iter(outputs), 'name')!r}]"
    if is_dataclass(outputs) and fields(outputs):
        return f"module(x).{fields(outputs)[0].name}"
    if isinstance(outputs, Distribution):
        return "module(x).probs" if hasattr(outputs, "probs") else "module(x).mean"
    if hasattr(outputs, "distribution"):
        return f"module(x).distribution.{'probs' if hasattr(outputs.distribution, 'probs') else 'mean'}"
    return "module(x)[0]"


def _cure(shape: tuple[int, ...], wanted: tuple[int, int]) -> str:
    """What to do about outputs whose shape is wrong."""
    if shape == wanted:
        return ": a single output needs an axis of its own, forward=lambda module, x: module(x)[:, None]"
    if len(shape) > 4 and shape[:2] == wanted:
        return ": outputs of an experience are one vector, forward=lambda module, x: module(x).flatten(1)"
    if len(shape) in (3, 4) and shape[0] == wanted[0] and wanted[1] in shape[2:]:
        return ": experiences come first in a module's outputs, as they do in its inputs (batch_first=True)"
    return ""
