"""What a mutation says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class DivergenceNotReached(RuntimeWarning):
    """A child's divergence from its parent is not the one asked for."""


@dataclass(frozen=True)
class MutationInfo:
    """What a mutation did; arrays (N,) for a batch, plain numbers for a single genome.

    Attributes:
        divergence: Divergence of the children from their parents (equation 1) on the experiences used;
            None where there were none.
        zero: SM-G: share of weights with a sensitivity that cannot be told from 0.
        floored: SM-G: share of weights whose sensitivity was raised to the floor; None where there is none.
        clipped: SM-G: share of weights whose step was cut at the clip.
        sensitivity: SM-G: sensitivities as computed, before those rules, (N, P) or (P,).
        status: Of the search for a divergence: "converged", "saturated" (no step changes the outputs enough),
            "jump" (the divergence steps over the one asked for), "shortest" (the shortest step that the
            operator makes goes beyond it) or "exhausted" (out of passes).
        forward_passes: Forward passes that the longest search took, the parents' own included.
        unreached: Names of parameters that the outputs do not depend on, a critic's for example: they mutate
            without being seen. None for networks that are no modules, and for outputs without gradients.
    """

    divergence: Any = None
    zero: Any = None
    floored: Any = None
    clipped: Any = None
    sensitivity: Any = None
    status: Any = None
    forward_passes: int | None = None
    unreached: tuple[str, ...] | None = None
