"""SM-R: the paper's safe mutation for networks without gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from safe_mutation.arguments import documented, require_positive
from safe_mutation.info import MutationInfo
from safe_mutation.intensity import Divergence
from safe_mutation.line_search import along, cautious
from safe_mutation.mutation import Mutation
from safe_mutation.request import Request


@documented
@dataclass(frozen=True)
class SMR(Mutation):
    """SM-R: a step in a random direction, scaled until the outputs have diverged by a wanted amount.

    Works with any network, differentiable or not (``NumpyNetwork`` wraps numpy functions). A target that
    cannot be reached gives the closest child found, and a DivergenceNotReached warning, or, with
    ``return_info``, a status that says so.
    """

    divergence: Divergence = field(
        kw_only=True, metadata=Mutation.__dataclass_fields__["divergence"].metadata
    )
    tolerance: float = field(
        default=0.01, kw_only=True, metadata=Mutation.__dataclass_fields__["tolerance"].metadata
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divergence is None:
            require_positive("divergence", self.divergence)

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        noise = request.noise()
        unit = noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True)
        wanted, first = request.targets(self.divergence), cautious(request.params, unit)
        result, info = self._search(request, wanted, along(unit), first)
        return result.children, info
