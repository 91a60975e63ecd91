"""Whether it helps to draw each child's divergence: many careful steps and a few bold ones.

All with SM-G-SO, in Recurrent Parity and the hard maze. Two ranges lie around the default's D = 0.03, half a
decade and a whole one either way; the third goes as far down as the one and as far up as the other.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from beyond.against_fixed import AgainstFixed, Variant
from beyond.race import DOMAIN_NAMES
from evolution.experiment import Experiment


def drawn(low: float, high: float, experiment: Experiment) -> Experiment:
    """The experiment with divergences from a range."""
    operator: Any = experiment.operator
    return dataclasses.replace(experiment, operator=dataclasses.replace(operator, divergence=(low, high)))


RANGES = {
    f"{low:g} to {high:g}": Variant(f"{low:g}-to-{high:g}", colour, partial(drawn, low, high))
    for low, high, colour in ((0.01, 0.1, "#ea580c"), (0.003, 0.3, "#7c3aed"), (0.003, 0.1, "#0891b2"))
}
DRAWN = AgainstFixed("beyond-drawn", DOMAIN_NAMES, RANGES)
