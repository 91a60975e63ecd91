"""Which direction, and how far: steps along delta / s^exponent until behaviour has diverged by D.

All of them in Recurrent Parity and the hard maze. No setting knows a constant of a network: there is no
clip, no floor and no sigma.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from beyond.comparison import finished, published, table
from beyond.study import COLOURS, Study, draw_success
from evolution.domain import Domain
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from evolution.result import Search
from paper.figure import Job, Request
from paper.style import save_figure
from paper.table_s2 import TABLE_S2, experiment

DOMAIN_NAMES = ("recurrent-parity", "breadcrumb-hard-maze")
DIVERGENCES = (0.01, 0.03, 0.1)
# s of SM-G-SO is the square root of what its Hessian gives: exponents 1 and 2 are 1/2 and 1 of that.
EXPONENTS = {
    "SM-R": (0,),
    "SM-G-SUM": (0.5, 1),
    "SM-G-ABS": (0.5, 1),
    "SM-G-RMS": (0.5, 1),
    "SM-G-SO": (1, 2),
}
TOLERANCE = 0.1  # of the divergence, for all alike


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

    def experiment(self, domain: Domain, request: Request, runs: int | None = None) -> Experiment:
        """Its search in a domain, by the paper's algorithm and budget."""
        return experiment(
            domain,
            self.method,
            seed=request.seed,
            runs=request.runs or runs,
            max_evaluations=request.max_evaluations,
            options=self.options,
        )


SETTINGS = [
    Setting(method, exponent, divergence)
    for method, exponents in EXPONENTS.items()
    for exponent, divergence in product(exponents, DIVERGENCES)
]


def score(evaluations: np.ndarray, budget: int) -> float:
    """Mean evaluations to the solution; a failed run counts its whole budget."""
    return float(np.minimum(evaluations, budget).mean())


def worst_ratios(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """For each setting, how many times the evaluations of the best it needs where it does worst.

    Args:
        scores: For each setting its score in each domain.
    """
    best = np.min(list(scores.values()), axis=0)
    return {name: float(np.max(np.array(own) / best)) for name, own in scores.items()}


@dataclass(frozen=True)
class Directions(Study):
    """Every setting in both domains."""

    def file(self, results: Path, domain: str, setting: Setting) -> Path:
        """The result of one setting in one domain."""
        return self.folder(results) / domain / f"{setting.name}.json"

    def jobs(self, request: Request) -> list[Job]:
        """A search for each setting in each domain, those of the quicker domain first."""
        searches: list[Job] = []
        for domain, setting in product(DOMAIN_NAMES, SETTINGS):
            search = Search(
                setting.experiment(DOMAINS[domain](), request),
                result=self.file(request.results, domain, setting),
                work=request.work / self.name / domain / setting.name,
                command=request.command(self.name),
                position=len(searches),
            )
            searches.append(search)
        return searches

    def runs(self, results: Path, domain: str) -> dict[str, np.ndarray]:
        """The runs of the settings that have finished in a domain."""
        return finished({one.name: self.file(results, domain, one) for one in SETTINGS})

    def finalists(self, results: Path, number: int = 2) -> list[Setting]:
        """The settings that need the fewest evaluations where they do worst, of the two domains.

        The rule: a setting's score in a domain is its mean evaluations to the solution, a failed run counted
        as its whole budget, over those of the best setting there; the larger of its two scores counts.

        Raises:
            ValueError: If a setting has not run; the message says how many.
        """
        runs = {domain: self.runs(results, domain) for domain in DOMAIN_NAMES}
        if missing := sum(len(SETTINGS) - len(found) for found in runs.values()):
            raise ValueError(
                f"expected results of {2 * len(SETTINGS)} searches in {self.folder(results)}, "
                f"{missing} are missing: run {self.name} first"
            )
        scores = {
            one.name: [score(runs[d][one.name], TABLE_S2[d].max_evaluations) for d in DOMAIN_NAMES]
            for one in SETTINGS
        }
        ratios = worst_ratios(scores)
        return sorted(SETTINGS, key=lambda one: ratios[one.name])[:number]

    def draw(self, results: Path) -> None:
        """Success curves: a figure for each domain, a panel for each divergence."""
        for domain in DOMAIN_NAMES:
            if runs := self.runs(results, domain):
                draw(domain, runs, published(results, domain), self.folder(results) / domain)

    def tables(self, results: Path) -> dict[str, str]:
        """A table for each domain, of the settings that have finished."""
        labels = {one.name: one.label for one in SETTINGS}
        header = ("direction", "exponent", "D")
        blocks = {}
        for domain in DOMAIN_NAMES:
            if runs := self.runs(results, domain):
                blocks[f"directions in {domain}"] = table(header, labels, runs, published(results, domain))
        return blocks


def draw(
    domain: str, runs: Mapping[str, np.ndarray], references: Mapping[str, np.ndarray], stem: Path
) -> None:
    """Draw the curves of a domain, the paper's control and its fastest method, dotted, in each panel."""
    budget = TABLE_S2[domain].max_evaluations
    figure, axes = plt.subplots(1, len(DIVERGENCES), figsize=(13, 3.8), layout="constrained", sharey=True)
    fastest = min(references, key=lambda method: score(references[method], budget), default="")
    shown = [method for method in dict.fromkeys(("control", fastest)) if method in references]
    for ax, divergence in zip(axes, DIVERGENCES, strict=True):
        for one in SETTINGS:
            if one.divergence == divergence and one.name in runs:
                style = "-" if one.exponent == max(EXPONENTS[one.method]) else "--"
                label = one.method if one.exponent == 0 else f"{one.method}, exponent {one.exponent:g}"
                draw_success(
                    ax, runs[one.name], budget, color=COLOURS[one.method], linestyle=style, label=label
                )
        for method in shown:
            draw_success(
                ax,
                references[method],
                budget,
                color=COLOURS[method],
                linestyle=":",
                linewidth=2.2,
                label=f"{method} of the paper",
            )
        ax.set(title=f"{domain}, D = {divergence:g}", xlabel="evaluations")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("share of runs solved")
    entries = [ax.get_legend_handles_labels() for ax in axes]
    lines = {label: line for handles, labels in entries for line, label in zip(handles, labels, strict=True)}
    figure.legend(lines.values(), lines.keys(), fontsize=8, loc="outside right center")
    save_figure(figure, stem)


DIRECTIONS = Directions("beyond-directions")
