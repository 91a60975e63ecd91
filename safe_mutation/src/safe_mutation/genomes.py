"""Genomes as callers hold them (numpy, torch, JAX, one or a batch) and as the operators compute with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.arrays import read_array, way_back


class Genomes:
    """One genome (P,) or a batch (N, P), read once, with the way back to the caller's kind of array.

    Attributes:
        params: The genomes as a tensor (N, P), float32 or float64: half precision is computed in float32.
        single: Whether the caller gave one genome (P,).
        dtype: Their own dtype, which children are rounded to.
        noise_dtype: Precision of the random numbers for them, float32 or float64.

    Args:
        genomes: Floating-point numbers: a tensor, a numpy array, or an array of a library that speaks DLPack.
        num_params: Expected length P, if known.
        in_double: Whether to compute in float64 whatever their dtype.

    Raises:
        TypeError: If it is no array or tensor of floating-point numbers.
        ValueError: If its shape is wrong or a number is not finite.
    """

    def __init__(self, genomes: Any, num_params: int | None, in_double: bool = False) -> None:
        self._back = way_back(genomes, "genomes")
        if isinstance(genomes, np.ndarray) and not genomes.dtype.isnative:
            raise TypeError(
                f"expected genomes in this machine's byte order, got {genomes.dtype}: "
                'give genomes.astype(genomes.dtype.newbyteorder("="))'
            )
        if isinstance(genomes, np.ndarray) and genomes.dtype not in (np.float16, np.float32, np.float64):
            raise TypeError(
                f"expected genomes of a floating-point dtype, got {genomes.dtype}: give genomes.astype(float)"
            )
        tensor = read_array(genomes, "genomes").contiguous()
        if not tensor.is_floating_point():
            raise TypeError(f"expected genomes of a floating-point dtype, got {tensor.dtype}")
        shape = tuple(tensor.shape)
        if len(shape) not in (1, 2) or 0 in shape or (num_params is not None and shape[-1] != num_params):
            p = "P" if num_params is None else num_params
            wanted = f"({p},)" if len(shape) == 1 else f"(N, {p})"
            raise ValueError(f"expected a genome of shape {wanted}, got {shape}")
        self.single = len(shape) == 1
        self.dtype = tensor.dtype
        self.noise_dtype = torch.float64 if self.dtype == torch.float64 else torch.float32
        wide = torch.float64 if in_double else self.noise_dtype
        self.params = (tensor[None] if self.single else tensor).to(wide)
        require_finite(self.params, "a finite genome")

    def restore(self, values: Tensor) -> Any:
        """Values (N, ...) as the caller's kind of array, without the N for a single genome."""
        values = values[0] if self.single else values
        return self._back(values)

    def numbers(self, values: Tensor) -> Any:
        """Numbers (N,) in the caller's kind of array, or the one number of a single genome."""
        return values[0].item() if self.single else self.restore(values)

    def restore_dtype(self, values: Tensor) -> Any:
        """As ``restore``, in the genomes' own dtype."""
        return self.restore(values.to(self.dtype))


def require_finite(values: Tensor, wanted: str, first: int = 0) -> None:
    """Refuse values (N, ...) that are not finite, naming the first parent that has any.

    Args:
        values: One row for each parent.
        wanted: What was expected.
        first: Number of the parent in the first row.

    Raises:
        ValueError: If there is one.
    """
    # The sum is finite unless an entry is not, or it overflows, which the second look sorts out.
    if math.isfinite(values.sum().item()):
        return
    bad = (~torch.isfinite(values)).flatten(1).sum(1)
    if bad.any():
        parent = int(bad.nonzero()[0])
        raise ValueError(
            f"expected {wanted}, got {int(bad[parent])} values that are nan or inf "
            f"for parent {first + parent}"
        )
