"""How far weights may go that hardly matter: the default's direction with less of a floor.

With a divergence, sensitivities below a tenth of their root mean square are raised to about that, so that no
weight goes more than ten times as far as a typical one. Here they are raised to less, with SM-G-SO at D =
0.03, in Recurrent Parity, the hard maze and the Topdown Maze.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from beyond import against_fixed
from beyond.adaptation import PLACES
from beyond.comparison import Runs
from beyond.directions import INCUMBENT
from beyond.finalists import budget_of
from beyond.race import GUESS
from beyond.study import Study
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request
from safe_mutation import SMGSO

LEAST = {f"0.03, raised to {least:g}": least for least in (0.03, 0.01)}
COLOURS = dict(zip(LEAST, ("#ea580c", "#0891b2"), strict=True))


@dataclass(frozen=True)
class LessDamped(SMGSO):
    """SM-G-SO with another least sensitivity.

    Attributes:
        least: Part of the root mean square that smaller sensitivities are raised to.
    """

    least: float = dataclasses.field(default=0.1, kw_only=True)

    @property
    def _damping(self) -> float:  # type: ignore[override]
        return self.least


@dataclass(frozen=True)
class Damping(Study):
    """Each least sensitivity in every domain."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each in each domain."""
        experiments: dict[Path, Experiment] = {}
        for domain, (name, least) in product(PLACES, LEAST.items()):
            plain = INCUMBENT.experiment(DOMAINS[domain](), request, max_evaluations=budget_of(domain))
            default: Any = plain.operator
            operator = LessDamped(
                default.network, divergence=default.divergence, tolerance=default.tolerance, least=least
            )
            experiments[self._file(request.results, domain, name)] = dataclasses.replace(
                plain, operator=operator, guess=GUESS
            )
        return self.searches(request, experiments)

    def draw(self, results: Path) -> None:
        """Success curves, a panel for each domain in which one has finished."""
        if found := self._finished(results):
            against_fixed.draw(results, found, COLOURS, self.folder(results) / "damping")

    def tables(self, results: Path) -> dict[str, str]:
        """Against the fixed divergences, a table for each domain."""
        return against_fixed.tables("damping", results, self._finished(results), LEAST)

    def _finished(self, results: Path) -> dict[str, Runs]:
        return against_fixed.finished_in(PLACES, LEAST, partial(self._file, results))

    def _file(self, results: Path, domain: str, name: str) -> Path:
        return self.folder(results) / domain / f"{LEAST[name]:g}.json"


DAMPING = Damping("beyond-damping")
