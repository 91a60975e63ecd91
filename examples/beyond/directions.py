"""Which direction, and how far: steps along delta / s^exponent until behaviour has diverged by D.

The settings that are compared. None knows a constant of a network: there is no clip, no floor and no sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from evolution.domain import Domain
from evolution.experiment import Experiment
from paper.figure import Request
from paper.table_s2 import experiment
from safe_mutation.default_operator import TOLERANCE

DIVERGENCES = (0.01, 0.03, 0.1)
# s of SM-G-SO is the square root of what its Hessian gives: exponents 1 and 2 are 1/2 and 1 of that.
EXPONENTS = {
    "SM-R": (0,),
    "SM-G-SUM": (0.5, 1),
    "SM-G-ABS": (0.5, 1),
    "SM-G-RMS": (0.5, 1),
    "SM-G-SO": (1, 2),
}


@dataclass(frozen=True)
class Setting:
    """A direction and a divergence.

    Attributes:
        method: Whose sensitivities; SM-R has none.
        exponent: Of the sensitivities.
        divergence: D, of a child from its parent.
    """

    method: str
    exponent: float
    divergence: float

    @property
    def name(self) -> str:
        """As in the names of files."""
        return f"{self.method}-{self.exponent:g}-{self.divergence:g}"

    @property
    def label(self) -> tuple[str, str, str]:
        """As in tables."""
        return self.method, f"{self.exponent:g}", f"{self.divergence:g}"

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the operator."""
        options: dict[str, Any] = {"divergence": self.divergence, "tolerance": TOLERANCE}
        return options if self.exponent == 0 else options | {"exponent": self.exponent, "weight_clip": None}

    def experiment(
        self, domain: Domain, request: Request, runs: int | None = None, max_evaluations: int | None = None
    ) -> Experiment:
        """Its search in a domain, by the paper's algorithm; runs and budget are the paper's by default."""
        return experiment(
            domain,
            self.method,
            seed=request.seed,
            runs=request.runs or runs,
            max_evaluations=request.max_evaluations or max_evaluations,
            options=self.options,
        )


SETTINGS = [
    Setting(method, exponent, divergence)
    for method, exponents in EXPONENTS.items()
    for exponent, divergence in product(exponents, DIVERGENCES)
]
INCUMBENT = Setting("SM-G-SO", 1, 0.03)  # what SafeMutation is
CHALLENGER = Setting("SM-G-SO", 2, 0.03)  # the best of four in other networks, see other_networks.py
