"""Figure 4: the hard maze with networks of a quarter, half and a whole million weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from paper.figure import Figure, Job, Request
from paper.figures.success_curves import Solved, SuccessCurves, ran
from paper.statistics import Claim, more_solved
from paper.table_s2 import TABLE_S2


@dataclass(frozen=True)
class LargeNetworks(Figure):
    """All panels at once; each is a figure of its own, too, with a folder and claims.

    Attributes:
        panels: The success curves of each network.
    """

    follows = frozenset({"methods", "runs", "first", "max_evaluations"})

    panels: tuple[SuccessCurves, ...]

    def jobs(self, request: Request) -> list[Job]:
        """A search for each network and method."""
        return list(chain.from_iterable(panel.jobs(request) for panel in self.panels))

    def draw(self, results: Path) -> None:
        """Draw each panel."""
        for panel in self.panels:
            panel.draw(results)


def panel(size: int) -> SuccessCurves:
    """The success curves of the network with so many layers."""
    domain = f"large-scale-{size}"
    budget = TABLE_S2[domain].max_evaluations

    def claims(data: Solved) -> list[Claim]:
        return [
            more_solved(f"4 ({size} layers)", "SM-G-SUM", other, data, budget)
            for other in ("SM-G-SO", "control")
            if ran(data, "SM-G-SUM", other)
        ]

    return SuccessCurves(f"figure-4-{size}", domain, claims)


FIGURE_4 = LargeNetworks("figure-4", tuple(panel(size) for size in (32, 64, 101)))
