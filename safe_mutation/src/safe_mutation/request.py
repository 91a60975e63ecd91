"""A call of an operator as it is computed: parents, experiences and random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation.arrays import read_array
from safe_mutation.experiences import Experiences
from safe_mutation.genomes import Genomes
from safe_mutation.intensity import Divergence, targets
from safe_mutation.noise import Source, Streams, standard_normal
from safe_mutation.rows import Rows

PIECE = 2**22  # random numbers (16 MB) drawn at once where a second genome of them would be too much


@dataclass(frozen=True)
class Request:
    """One call of an operator, read and checked: N parents, and their experiences (N, I, ...) if any.

    ``outputs`` are the parents' own, those of each pass, once something has computed them.
    """

    genomes: Genomes
    streams: Streams
    inputs: Experiences | None
    mask: Tensor | None
    outputs: list[Rows] = field(default_factory=list)

    @property
    def params(self) -> Tensor:
        """The parents (N, P)."""
        return self.genomes.params

    def targets(self, divergence: Divergence) -> np.ndarray:
        """The divergence of each child (N,)."""
        return targets(divergence, len(self.params), self.streams)

    def noise(self) -> Tensor:
        """Standard normal numbers (N, P), zero for weights that do not mutate."""
        drawn = self._noise(self.streams.noise, self.params)
        return drawn if self.mask is None else drawn * self.mask

    def noise_in_pieces(self) -> Iterator[tuple[slice, Tensor]]:
        """The numbers before the mask, a piece of all N*P of them at a time: its place, and fresh memory."""
        source, total = self.streams.noise, self.params.numel()
        if total <= PIECE or not isinstance(source, np.random.Generator):  # a stream on a GPU has no pieces
            yield slice(None), self._noise(source, self.params).view(-1)
            return
        for start in range(0, total, PIECE):
            piece = slice(start, start + PIECE)
            yield piece, self._noise(source, self.params.reshape(-1)[piece])

    def _noise(self, sources: Source | list[Source], params: Tensor) -> Tensor:
        """Standard normal numbers for parents (N, P) or for some weights of theirs."""
        dtype = self.genomes.noise_dtype
        like = params if params.dtype == dtype else torch.empty_like(params, dtype=dtype)
        return standard_normal(sources, like).to(params)

    def share(self, weights: Tensor) -> Any:
        """For each parent the share of weights (N, P) that are True."""
        return self.genomes.numbers(weights.double().mean(1))


def read_mask(mask: Any, parents: Tensor) -> Tensor | None:
    """Which weights mutate (P,), bool, on the parents' device; None for all.

    Raises:
        ValueError: If it has another shape or dtype, or lets no weight mutate.
    """
    if mask is None:
        return None
    values = read_array(mask, "a mask").to(parents.device)
    shape = (parents.shape[1],)
    if values.dtype != torch.bool or tuple(values.shape) != shape:
        raise ValueError(
            f"expected a mask of shape {shape} and dtype bool, got {tuple(values.shape)} {values.dtype}"
        )
    if not values.any():
        raise ValueError("expected a mask that lets at least one weight mutate, got none")
    return values
