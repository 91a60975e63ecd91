"""SM-R: the paper's safe mutation for networks without gradients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from safe_mutation import line_search
from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.mutation import Mutation, MutationInfo, Request


class DivergenceNotReached(RuntimeWarning):
    """A child's divergence from its parent is not the target."""


@documented
@dataclass(frozen=True)
class SMR(Mutation):
    """SM-R: a step in a random direction, scaled until the outputs have diverged by a wanted amount.

    Works with any network, differentiable or not (``NumpyNetwork`` wraps numpy functions). A target that
    cannot be reached gives the closest child found, and a DivergenceNotReached warning, or, with
    ``return_info``, a status that says so.
    """

    divergence: float = field(kw_only=True, metadata=doc("Target of equation 1."))
    tolerance: float = field(
        default=0.01, kw_only=True, metadata=doc("Accepted relative deviation from the target.")
    )
    max_passes: int = field(default=40, kw_only=True, metadata=doc("Forward passes before giving up."))
    chunk_size: int | None = field(
        default=None,
        kw_only=True,
        metadata=doc("Parents searched in lockstep; by default what fits into caches."),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("divergence", self.divergence)
        require_positive("tolerance", self.tolerance)
        require_count("max_passes", self.max_passes, least=3)
        require_count("chunk_size", self.chunk_size)

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        noise = request.noise()
        found = line_search.search(
            self.network,
            request.params,
            noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True),
            request.inputs,
            self.divergence,
            tolerance=self.tolerance,
            max_passes=self.max_passes,
            chunk_size=self.chunk_size,
        )
        missed = [n for n, status in enumerate(found.status) if status != "converged"]
        if missed and not detailed:
            n = missed[0]
            warnings.warn(
                f"{len(missed)} of {len(found.status)} children miss the divergence {self.divergence:g}: "
                f"parent {n} reached {found.divergence[n]:.3g} ({found.status[n]})",
                DivergenceNotReached,
                stacklevel=3,
            )
        info = MutationInfo(
            divergence=request.per_parent(torch.from_numpy(found.divergence)),
            status=found.status[0] if request.genomes.single else found.status,
            forward_passes=found.forward_passes,
        )
        return found.children, info
