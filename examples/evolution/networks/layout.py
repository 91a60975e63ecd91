"""How the weights of a network written for stacked genomes lie in them, and how they start.

Every network here is called as ``network(params, inputs)`` with one genome per lane,

    params (N, P), inputs (N, I, ...)  ->  outputs (N, I, K)

(or without the leading N for a single genome), and a genome lists the weights in the order in
which the equivalent ``nn.Module`` would register them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor


class Layout:
    """Where each named weight tensor lies inside a flat genome."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self.shapes = shapes
        self.sizes = [math.prod(shape) for shape in shapes.values()]
        self.num_params = sum(self.sizes)

    def views(self, params: Tensor) -> list[Tensor]:
        """Split genomes (N, P) into views of shape (N, *shape), in the layout's order."""
        parts = params.split(self.sizes, dim=1)
        return [part.view(-1, *shape) for part, shape in zip(parts, self.shapes.values(), strict=True)]


def linear_shapes(name: str, fan_in: int, fan_out: int) -> dict[str, tuple[int, ...]]:
    """The weight and bias of a fully connected layer."""
    return {f"{name}_weight": (fan_out, fan_in), f"{name}_bias": (fan_out, 1)}


def round_up(number: int, multiple: int) -> int:
    """The least multiple that is not below a number: compiled layers are padded to whole vectors."""
    return -(-number // multiple) * multiple


def as_batch(params: Tensor, inputs: Tensor, num_params: int, input_ndim: int) -> tuple[Tensor, Tensor]:
    """Give params and inputs their leading genome axis, refusing genomes of another length."""
    if params.shape[-1] != num_params:
        raise ValueError(
            f"expected genomes of shape ({num_params},) or (N, {num_params}), got {tuple(params.shape)}"
        )
    params = params if params.ndim == 2 else params[None]
    inputs = inputs if inputs.ndim == input_ndim else inputs.expand(len(params), *inputs.shape)
    return params, inputs


def decidable(genomes: Any, num_params: int) -> Any:
    """Genomes (N, P), an array or a tensor, as decisions read them; kernels do not check where they read.

    Raises:
        ValueError: If the genomes are those of another network.
    """
    if genomes.ndim != 2 or genomes.shape[1] != num_params:
        raise ValueError(f"expected genomes of shape (N, {num_params}), got {tuple(genomes.shape)}")
    if isinstance(genomes, Tensor):
        return genomes.float().contiguous()
    return np.ascontiguousarray(genomes, np.float32)


def xavier_normal(
    generator: np.random.Generator, number: int, fan_in: int, fan_out: int, size: int
) -> np.ndarray:
    """Normal weights of std sqrt(2 / (fan_in + fan_out)), shape (number, size), float32."""
    scale = np.float32(math.sqrt(2 / (fan_in + fan_out)))
    return scale * generator.standard_normal((number, size), dtype=np.float32)


def uniform(generator: np.random.Generator, number: int, bound: float, size: int) -> np.ndarray:
    """Uniform weights in [-bound, bound), shape (number, size), float32."""
    return np.float32(bound) * (2 * generator.random((number, size), dtype=np.float32) - 1)
