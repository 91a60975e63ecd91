"""Whether it helps to draw each child's divergence: many careful steps and a few bold ones.

All with SM-G-SO, in Recurrent Parity and the hard maze. Two ranges lie around the default's D = 0.03, half a
decade and a whole one either way; the third goes as far down as the one and as far up as the other.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from beyond import against_fixed
from beyond.comparison import Runs
from beyond.directions import INCUMBENT
from beyond.race import DOMAIN_NAMES, GUESS
from beyond.study import Study
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request

RANGES = {f"{low:g} to {high:g}": (low, high) for low, high in ((0.01, 0.1), (0.003, 0.3), (0.003, 0.1))}
COLOURS = dict(zip(RANGES, ("#ea580c", "#7c3aed", "#0891b2"), strict=True))


@dataclass(frozen=True)
class Drawn(Study):
    """Each range in both domains."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each range in each domain."""
        experiments: dict[Path, Experiment] = {}
        for domain, (name, divergence) in product(DOMAIN_NAMES, RANGES.items()):
            plain = INCUMBENT.experiment(DOMAINS[domain](), request)
            default: Any = plain.operator
            drawn = dataclasses.replace(default, divergence=divergence)
            experiments[self._file(request.results, domain, name)] = dataclasses.replace(
                plain, operator=drawn, guess=GUESS
            )
        return self.searches(request, experiments)

    def draw(self, results: Path) -> None:
        """Success curves, a panel for each domain in which a range has finished."""
        if found := self._finished(results):
            against_fixed.draw(results, found, COLOURS, self.folder(results) / "drawn")

    def tables(self, results: Path) -> dict[str, str]:
        """Against the fixed divergences, a table for each domain."""
        return against_fixed.tables("drawn", results, self._finished(results), RANGES)

    def _finished(self, results: Path) -> dict[str, Runs]:
        return against_fixed.finished_in(DOMAIN_NAMES, RANGES, partial(self._file, results))

    def _file(self, results: Path, domain: str, name: str) -> Path:
        return self.folder(results) / domain / f"{name.replace(' ', '-')}.json"


DRAWN = Drawn("beyond-drawn")
