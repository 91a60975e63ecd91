"""What SM-G-SUM does with the default's divergence, and with its small sensitivities let count.

A sum of gradients is small where a weight hardly matters, and where it matters to experiences in opposite
ways: steps along such weights tell experiences apart (the paper's "washout"). The rule for small
sensitivities holds them back. Here SM-G-SUM runs at D = 0.03, which the race did not take into the
semifinals, with the usual rule and with one that lets them go, in all four domains.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from beyond.adaptation import PLACES
from beyond.against_fixed import AgainstFixed, Variant, mutated_by
from safe_mutation import MutationInfo, SMGSum, scaling
from safe_mutation.line_search import LineSearch, Step
from safe_mutation.request import Request


@dataclass(frozen=True)
class FreeSum(SMGSum):
    """SM-G-SUM whose small sensitivities count.

    Weights without effect go as far as one of the root mean square sensitivity: those that hardly matter go
    further now, and they would go along.

    Attributes:
        least: Part of the root mean square that smaller sensitivities are raised to.
    """

    least: float = dataclasses.field(default=0.01, kw_only=True)

    def _relative(self, sensitivities: Tensor, without: Tensor, mask: Tensor | None) -> Tensor:
        scale = scaling.relative(sensitivities, without, mask, self.exponent, self.least)
        counted = ~without if mask is None else ~without & mask
        mean = scale.square().masked_fill_(~counted, 0).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
        return torch.where(without & counted.any(1, keepdim=True), mean.sqrt(), scale)


@dataclass(frozen=True)
class FarSum(FreeSum):
    """The same, whose steps are no shorter than a part of the genome's length, whatever outputs do.

    Children of parents whose outputs leap then diverge by more than was asked for.

    Attributes:
        shortest: That part.
    """

    shortest: float = dataclasses.field(default=0.03, kw_only=True)

    def _search(
        self, request: Request, wanted: np.ndarray, step: Step, guesses: np.ndarray
    ) -> tuple[LineSearch, MutationInfo]:
        found, info = super()._search(request, wanted, step, guesses)
        norm = partial(torch.linalg.vector_norm, dim=1, keepdim=True)
        once = step(torch.ones_like(request.params[:, :1]), slice(None))
        least = self.shortest * norm(request.params) / norm(once)
        short = torch.from_numpy(found.magnitude).to(least)[:, None] < least
        if not short.any():
            return found, info
        children = torch.where(short, request.params + least * once, found.children)
        magnitude = np.where(short.numpy()[:, 0], least.double().numpy()[:, 0], found.magnitude)
        info = dataclasses.replace(info, divergence=self._divergence(request, children))
        return found._replace(children=children, magnitude=magnitude), info


SUMS = AgainstFixed(
    "beyond-sums",
    (*PLACES, "first-person-maze"),
    {
        "SM-G-SUM, 0.03": Variant("SM-G-SUM", "#ea580c", partial(mutated_by, SMGSum)),
        "SM-G-SUM, 0.03, raised to 0.01": Variant("SM-G-SUM-0.01", "#0891b2", partial(mutated_by, FreeSum)),
        "the same, steps of 0.03 or more": Variant(
            "SM-G-SUM-0.01-far", "#7c3aed", partial(mutated_by, FarSum)
        ),
    },
    paper=("SM-G-SUM",),
)
