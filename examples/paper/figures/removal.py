"""Whom a child replaces, which the paper leaves open: figures 1 and 3 with the other rule.

The published code draws a second tournament to find the one to be replaced and then, by a slip, takes the
worst of the first. Here is which rule's curves lie nearer to the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from evolution.algorithms.steady_state_ga import SteadyStateGA
from paper.distance import PaperCurve, paper_curves
from paper.figure import Figure, Job, Request
from paper.figures.success_curves import FIGURE_1, FIGURE_3, Solved, SuccessCurves
from paper.markdown import markdown_table
from paper.statistics import Claim, solved_in_the_end
from paper.table_s2 import TABLE_S2

OTHER = "another"  # rule than the default
SAMPLES = 2_000  # of what chance does


@dataclass(frozen=True)
class Pair:
    """One of the paper's curves, and the runs of both rules.

    Attributes:
        figure: The paper's number.
        method: Of the figure.
        curve: The paper's.
        paper_runs: Runs behind it.
        rules: Evaluations (2, R) at which our runs were solved, with the default rule and with the other.
    """

    figure: str
    method: str
    curve: PaperCurve
    paper_runs: int
    rules: np.ndarray

    def gaps(self) -> np.ndarray:
        """Those of both rules (2,)."""
        return self.curve.gap(self.rules)

    def gaps_by_chance(self, chance: np.random.Generator) -> np.ndarray:
        """Gaps (SAMPLES,) of as many runs as ours, if the paper's curve were the truth."""
        return self.curve.gaps_by_chance(self.rules.shape[1], self.paper_runs, SAMPLES, chance)

    def gaps_exchanged(self, chance: np.random.Generator) -> np.ndarray:
        """Gaps (SAMPLES, 2) with the runs of the two rules exchanged at random."""
        pooled = np.tile(self.rules.ravel(), (SAMPLES, 1))
        return self.curve.gap(chance.permuted(pooled, axis=1).reshape(SAMPLES, *self.rules.shape))


@dataclass(frozen=True)
class Removal(Figure):
    """Both figures at once; with the other rule each is a figure of its own, too, with a folder.

    Attributes:
        panels: Each figure with the default rule and with the other.
    """

    follows = frozenset({"methods", "runs", "max_evaluations"})

    panels: tuple[tuple[SuccessCurves, SuccessCurves], ...]

    @property
    def others(self) -> tuple[SuccessCurves, ...]:
        """The figures with the other rule."""
        return tuple(other for _, other in self.panels)

    def jobs(self, request: Request) -> list[Job]:
        """A search for each domain and method."""
        return list(chain.from_iterable(other.jobs(request) for other in self.others))

    def draw(self, results: Path) -> None:
        """Draw each figure."""
        for other in self.others:
            other.draw(results)

    def tables(self, results: Path) -> dict[str, str]:
        """The gaps to the paper's curves, of methods that ran with both rules."""
        pairs = list(self._pairs(results))
        return {self.name: table(pairs)} if pairs else {}

    def _pairs(self, results: Path) -> Iterator[Pair]:
        for figure, other in self.panels:
            for method, curve in paper_curves(figure.domain).items():
                rules = both(figure.pooled(results), other.pooled(results), method)
                if rules is None:  # further runs of one rule only would compare unequal numbers of runs
                    rules = both(figure.solved(results), other.solved(results), method)
                if rules is not None:
                    number = figure.name.removeprefix("figure-")
                    yield Pair(number, method, curve, TABLE_S2[figure.domain].runs, rules)


def both(usual: Solved, other: Solved, method: str) -> np.ndarray | None:
    """A method's runs (2, R) with both rules, or None unless there are as many with either."""
    rules = [solved[method] for solved in (usual, other) if method in solved]
    return np.stack(rules) if len(rules) == 2 and len(rules[0]) == len(rules[1]) else None


def table(pairs: list[Pair]) -> str:
    """The gap of each curve with both rules and what chance alone gives, and their sums, in Markdown."""
    chance = np.random.default_rng(0)
    gaps = np.array([pair.gaps() for pair in pairs])
    by_chance = np.array([pair.gaps_by_chance(chance) for pair in pairs])
    exchanged = np.array([pair.gaps_exchanged(chance) for pair in pairs])
    ours = f'"{SteadyStateGA().removal}"'
    titles = ["figure", "method", ours, "solved", f'"{OTHER}"', "solved", "by chance"]
    rows = []
    for pair, found, expected in zip(pairs, gaps, by_chance, strict=True):
        cells = [
            text
            for gap, runs in zip(found, pair.rules, strict=True)
            for text in (f"{gap:.2f}", solved_in_the_end(runs))
        ]
        rows.append([pair.figure, pair.method, *cells, spread(expected)])
    sums = gaps.sum(axis=0)
    cells = [text for total in sums for text in (f"**{total:.2f}**", "")]
    rows.append(["sum", "", *cells, spread(by_chance.sum(axis=0))])
    differences = np.abs(np.subtract(*exchanged.sum(axis=0).T))
    p = (1 + (differences >= abs(np.subtract(*sums))).sum()) / (1 + SAMPLES)
    by_luck = f"Sums that far apart come by chance with p = {p:.2g} (runs exchanged between the rules)."
    return f"{markdown_table(titles, rows)}\n{by_luck}\n"


def spread(values: np.ndarray) -> str:
    """The middle nine tenths, such as "0.15 to 0.45"."""
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{low:.2f} to {high:.2f}"


def with_other_rule(figure: SuccessCurves) -> SuccessCurves:
    """A figure with the other rule."""

    def claims_of(data: Solved) -> list[Claim]:
        return [replace(claim, figure=f'{claim.figure}, "{OTHER}"') for claim in figure.claims_of(data)]

    algorithm = SteadyStateGA(removal=OTHER)
    return replace(figure, name=f"{figure.name}-{OTHER}", claims_of=claims_of, algorithm=algorithm)


REMOVAL = Removal("removal", tuple((figure, with_other_rule(figure)) for figure in (FIGURE_1, FIGURE_3)))
