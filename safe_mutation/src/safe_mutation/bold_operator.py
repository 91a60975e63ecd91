"""The operator for recurrent networks of pictures, in which small sensitivities tell."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from safe_mutation import scaling
from safe_mutation.arguments import doc, documented, require_positive, require_share
from safe_mutation.default_operator import DIVERGENCE, TOLERANCE
from safe_mutation.intensity import Divergence
from safe_mutation.mutation import Mutation
from safe_mutation.request import Request
from safe_mutation.smg_operators import SMGSum

DAMPING = 0.01
SHORTEST = 0.03


@documented
@dataclass(frozen=True)
class BoldMutation(SMGSum):
    """SM-G-SUM to a divergence, for recurrent networks of pictures: nothing to tune.

    A sum of gradients is small where a weight matters to experiences in opposite ways. Steps along such
    weights tell experiences apart: here they may be a hundred times those of typical weights (with the other
    operators, ten times), and weights without effect go as far as typical ones.

    Children are mostly 0.03 from their parents (equation 1), as those of ``SafeMutation`` are, but no step is
    shorter than 0.03 of the genome's length: where outputs leap at less, or are large, children diverge by
    more (``info.status`` is "shortest"). A search for the divergence alone makes copies of such parents, and
    evolution had come to a halt in populations of them. What is said there of outputs without a natural scale
    holds here, too.
    """

    divergence: Divergence | None = field(
        default=DIVERGENCE, kw_only=True, metadata=Mutation.__dataclass_fields__["divergence"].metadata
    )
    tolerance: float = field(
        default=TOLERANCE, kw_only=True, metadata=Mutation.__dataclass_fields__["tolerance"].metadata
    )
    damping: float = field(
        default=DAMPING,
        kw_only=True,
        metadata=doc(
            "With a divergence, or floor=None: sensitivities below this part of their root mean square are "
            "raised to about it."
        ),
    )
    shortest: float = field(
        default=SHORTEST,
        kw_only=True,
        metadata=doc(
            "With a divergence: least length of a step, before weight_clip, as a part of that of the weights "
            "that mutate."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("damping", self.damping)
        require_share("shortest", self.shortest)

    def _relative(self, sensitivities: Tensor, without: Tensor, mask: Tensor | None) -> Tensor:
        return scaling.lightly_damped(sensitivities, without, mask, self.exponent, self.damping)

    def _shortest(self, request: Request, directions: Tensor) -> np.ndarray:
        weights = request.params if request.mask is None else request.params * request.mask
        genomes, ways = (
            torch.linalg.vector_norm(one, dim=1, dtype=torch.float64).cpu().numpy()
            for one in (weights, directions)
        )
        return np.divide(self.shortest * genomes, ways, out=np.zeros_like(ways), where=ways > 0)
