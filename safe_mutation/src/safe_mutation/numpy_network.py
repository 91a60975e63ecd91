"""A function of numpy arrays as a network, for SM-R on networks that torch cannot differentiate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from safe_mutation.arrays import read_array
from safe_mutation.experiences import Experiences, map_leaves, take


@dataclass(frozen=True)
class NumpyNetwork:
    """A numpy function as ``network(params, inputs)``.

    It has no gradients: SM-R and the control work with it, SM-G refuse it.

    Args:
        function: Maps one genome (P,) and inputs (I, ...) to outputs (I, K) or (I, T, K).
        batched: Whether it maps (N, P) and (N, I, ...) to (N, I, K) by itself; otherwise it is called for one
            genome after the other.
    """

    function: Callable[[Any, Any], Any]
    batched: bool = False

    def __call__(self, params: Tensor, inputs: Experiences) -> Tensor:
        """Map genomes (N, P) and inputs (N, I, ...) to outputs (N, I, K); also (P,), (I, ...) -> (I, K)."""
        genomes, arrays = _to_numpy(params), map_leaves(_to_numpy, inputs)
        if self.batched or params.ndim == 1:
            outputs = self.function(genomes, arrays)
        else:
            outputs = np.stack([self.function(genome, take(arrays, n)) for n, genome in enumerate(genomes)])
        return read_array(outputs, "outputs").to(params.device)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    array = tensor.detach().cpu().numpy()
    array.flags.writeable = False  # it may be the caller's
    return array
