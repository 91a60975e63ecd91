"""What SM-G-SUM does with the default's divergence, and with its small sensitivities let count.

A sum of gradients is small where a weight hardly matters, and where it matters to experiences in opposite
ways: steps along such weights tell experiences apart (the paper's "washout"). The rule for small
sensitivities holds them back. Here SM-G-SUM runs at D = 0.03, which the race did not take into the
semifinals, with the usual rule, with one that lets them go, and as BoldMutation, whose steps are no shorter
than a part of the genome's length besides; in all four domains.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from beyond.adaptation import PLACES
from beyond.against_fixed import AgainstFixed, Variant, mutated_by
from safe_mutation import BoldMutation, SMGSum, scaling


@dataclass(frozen=True)
class FreeSum(SMGSum):
    """SM-G-SUM whose small sensitivities count: BoldMutation, with steps of any length.

    Attributes:
        least: Part of the root mean square that smaller sensitivities are raised to.
    """

    least: float = dataclasses.field(default=0.01, kw_only=True)

    def _relative(self, sensitivities: Tensor, without: Tensor, mask: Tensor | None) -> Tensor:
        return scaling.lightly_damped(sensitivities, without, mask, self.exponent, self.least)


SUMS = AgainstFixed(
    "beyond-sums",
    (*PLACES, "first-person-maze"),
    {
        "SM-G-SUM, 0.03": Variant("SM-G-SUM", "#ea580c", partial(mutated_by, SMGSum)),
        "SM-G-SUM, 0.03, raised to 0.01": Variant("SM-G-SUM-0.01", "#0891b2", partial(mutated_by, FreeSum)),
        "BoldMutation": Variant("BoldMutation", "#7c3aed", partial(mutated_by, BoldMutation)),
    },
    paper=("SM-G-SUM",),
)
