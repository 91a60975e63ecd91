"""The race of all directions and divergences, in Recurrent Parity and the hard maze.

The rules were fixed before any of it was run. Every setting runs 8 times, to at most 30,000 of the paper's
100,000 evaluations. The six best go on to 20 new runs each of the whole budget, and the two best of those are
the finalists (``finalists.py``), again with new runs, as the best of many are also the luckiest.

Best is who does well where he does worst: a setting's score in a domain is its mean evaluations to the
solution, a failed run counted as its whole budget, over the score of the best setting there; the larger of
its two scores counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from beyond.comparison import comparable, published, table, within
from beyond.directions import DIVERGENCES, EXPONENTS, SETTINGS, Setting
from beyond.study import COLOURS, Study, draw_success
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.statistics import mean_evaluations
from paper.style import save_figure

DOMAIN_NAMES = ("recurrent-parity", "breadcrumb-hard-maze")
GUESS = 8  # children of a run in one batch: the search that breeds one at a time, in half of its time


def worst_ratios(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """For each setting, how many times the evaluations of the best it needs where it does worst.

    Args:
        scores: For each setting its score in each domain.
    """
    best = np.min(list(scores.values()), axis=0)
    return {name: float(np.max(np.array(own) / best)) for name, own in scores.items()}


@dataclass(frozen=True)
class Round(Study):
    """One round of the race: some settings in both domains.

    Attributes:
        runs: Of each setting.
        max_evaluations: Budget of a run; the paper's by default.
        previous: The round whose best run here; None for all settings.
        number: How many of those.
        fresh: What is added to the seed, so that no run is that of another round.
    """

    follows = frozenset({"runs", "first", "max_evaluations"})

    runs: int
    max_evaluations: int = 100_000
    previous: Round | None = None
    number: int = len(SETTINGS)
    fresh: int = 0

    def file(self, results: Path, domain: str, setting: Setting) -> Path:
        """The result of one setting in one domain."""
        return self.folder(results) / domain / f"{setting.name}.json"

    def settings(self, results: Path) -> list[Setting]:
        """Who runs.

        Raises:
            ValueError: If the round before is not complete.
        """
        return SETTINGS if self.previous is None else self.previous.best(results, self.number)

    def jobs(self, request: Request) -> list[Job]:
        """A search for each setting in each domain, those of the quicker domain first.

        Raises:
            ValueError: If the round before is not complete.
        """
        own = replace(request, seed=request.seed + self.fresh)
        experiments: dict[Path, Experiment] = {}
        for domain, setting in product(DOMAIN_NAMES, self.settings(request.results)):
            plain = setting.experiment(DOMAINS[domain](), own, self.runs, self.max_evaluations)
            experiments[self.file(request.results, domain, setting)] = replace(plain, guess=GUESS)
        return self.searches(request, experiments)

    def best(self, results: Path, number: int) -> list[Setting]:
        """The settings that need the fewest evaluations where they do worst.

        Raises:
            ValueError: If a setting has not run; the message says how many.
        """
        settings = self.settings(results)
        finished = [self._finished(results, domain) for domain in DOMAIN_NAMES]
        if missing := sum(one.name not in solved for one in settings for solved, _ in finished):
            raise ValueError(
                f"expected results of {2 * len(settings)} searches in {self.folder(results)}, "
                f"{missing} are missing: run {self.name} first"
            )
        scores = {
            one.name: [mean_evaluations(solved[one.name], budget) for solved, budget in finished]
            for one in settings
        }
        ratios = worst_ratios(scores)
        return sorted(settings, key=lambda one: ratios[one.name])[:number]

    def draw(self, results: Path) -> None:
        """Success curves: a figure for each domain, a panel for each divergence."""
        for domain in DOMAIN_NAMES:
            solved, budget = self._finished(results, domain)
            if solved:
                self._draw(results, domain, solved, budget)

    def tables(self, results: Path) -> dict[str, str]:
        """A table for each domain, of the settings that have finished."""
        labels = {one.name: one.label for one in SETTINGS}
        header = ("direction", "exponent", "D")
        title = self.name.removeprefix("beyond-")
        blocks = {}
        for domain in DOMAIN_NAMES:
            solved, budget = self._finished(results, domain)
            if solved:
                known = labels if self.previous is None else {name: labels[name] for name in solved}
                references = within(published(results, domain), budget)
                blocks[f"{title} in {domain}"] = table(header, known, solved, references)
        return blocks

    def _finished(self, results: Path, domain: str) -> tuple[dict[str, np.ndarray], int]:
        """The runs that have finished in a domain, and the budget they are compared within."""
        files = {one.name: self.file(results, domain, one) for one in SETTINGS}
        return comparable(files, self.max_evaluations)

    def _draw(self, results: Path, domain: str, solved: Mapping[str, np.ndarray], budget: int) -> None:
        """The curves of a domain, the paper's control and its fastest method, dotted, in each panel."""
        references = published(results, domain)
        figure, axes = plt.subplots(1, len(DIVERGENCES), figsize=(13, 3.8), layout="constrained", sharey=True)
        fastest = min(references, key=lambda method: mean_evaluations(references[method], budget), default="")
        shown = [method for method in dict.fromkeys(("control", fastest)) if method in references]
        for ax, divergence in zip(axes, DIVERGENCES, strict=True):
            for one in SETTINGS:
                if one.divergence == divergence and one.name in solved:
                    style = "-" if one.exponent == max(EXPONENTS[one.method]) else "--"
                    label = one.method if one.exponent == 0 else f"{one.method}, exponent {one.exponent:g}"
                    line = {"color": COLOURS[one.method], "linestyle": style, "label": label}
                    draw_success(ax, solved[one.name], budget, **line)
            for method in shown:
                line = {"color": COLOURS[method], "linestyle": ":", "label": f"{method} of the paper"}
                draw_success(ax, references[method], budget, linewidth=2.2, **line)
            ax.set(title=f"{domain}, D = {divergence:g}", xlabel="evaluations")
            ax.grid(alpha=0.25)
        axes[0].set_ylabel("share of runs solved")
        entries = [ax.get_legend_handles_labels() for ax in axes]
        lines = {
            label: line for handles, labels in entries for line, label in zip(handles, labels, strict=True)
        }
        figure.legend(lines.values(), lines.keys(), fontsize=8, loc="outside right center")
        save_figure(figure, self.folder(results) / domain)


DIRECTIONS = Round("beyond-directions", runs=8, max_evaluations=30_000)
SEMIFINALS = Round("beyond-semifinals", runs=20, previous=DIRECTIONS, number=6, fresh=1)
