"""How far weights may go that hardly matter: the default's direction with less of a floor.

With a divergence, sensitivities below a tenth of their root mean square are raised to about that, so that no
weight goes more than ten times as far as a typical one. Here they are raised to less, with SM-G-SO at D =
0.03, in Recurrent Parity, the hard maze and the Topdown Maze.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from beyond.adaptation import PLACES
from beyond.against_fixed import AgainstFixed, Variant, mutated_by
from safe_mutation import SMGSO, scaling


@dataclass(frozen=True)
class LessDamped(SMGSO):
    """SM-G-SO with another least sensitivity.

    Attributes:
        least: Part of the root mean square that smaller sensitivities are raised to.
    """

    least: float = dataclasses.field(default=0.1, kw_only=True)

    def _relative(self, sensitivities: Tensor, without: Tensor, mask: Tensor | None) -> Tensor:
        return scaling.relative(sensitivities, without, mask, self.exponent, self.least)


LEAST = {
    f"0.03, raised to {least:g}": Variant(f"{least:g}", colour, partial(mutated_by, LessDamped, least=least))
    for least, colour in ((0.03, "#ea580c"), (0.01, "#0891b2"))
}
DAMPING = AgainstFixed("beyond-damping", PLACES, LEAST)
