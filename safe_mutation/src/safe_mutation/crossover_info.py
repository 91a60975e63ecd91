"""What a crossover says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.network import Network
from safe_mutation.pairs import Pairs
from safe_mutation.sensitivity import divergence


@dataclass(frozen=True)
class CrossoverInfo:
    """What a crossover did; arrays (N,) for a batch, plain numbers for a single pair.

    Attributes:
        divergence: Of the child from the first parent on the first parent's experiences (equation 1).
        other_divergence: Of the child from the second parent on the second parent's experiences.
        share: How far the child is from the first parent (0) to the merge (1); None if it took another way.
        forward_passes: Of the longest search, those at both ends included; 0 where there was none.
    """

    divergence: Any
    other_divergence: Any
    share: Any = None
    forward_passes: int = 0

    @classmethod
    def of(
        cls,
        network: Network,
        pairs: Pairs,
        children: Tensor,
        share: np.ndarray | None,
        forward_passes: int,
    ) -> CrossoverInfo:
        """Of children (N, P) as they are returned."""
        children = children.to(pairs.params)
        return cls(
            pairs.genomes.numbers(divergence(network, pairs.params, children, pairs.inputs).cpu()),
            pairs.genomes.numbers(divergence(network, pairs.others, children, pairs.other_inputs).cpu()),
            None if share is None else pairs.genomes.numbers(torch.from_numpy(share)),
            forward_passes,
        )
