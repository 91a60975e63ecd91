"""What the choices change that the paper and its published code leave open, or make differently.

Each is compared with the same method as figures 1 and 3 ran it, in the same domain and with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scipy.stats import mannwhitneyu

from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from evolution.result import solved_at
from paper.figure import Figure, Job, Request
from paper.figures.success_curves import FIGURE_1, FIGURE_3, SuccessCurves
from paper.markdown import markdown_table
from paper.statistics import summary
from paper.table_s2 import experiment


@dataclass(frozen=True)
class Change:
    """One choice made otherwise.

    Attributes:
        text: What differs.
        options: Arguments of the operator.
        intensity: Of the operator.
        variant: Of the domain.
    """

    text: str
    options: Mapping[str, Any] = field(default_factory=dict)
    intensity: float | None = None
    variant: str | None = None

    @property
    def concerns_control(self) -> bool:
        """Whether the control changes, too: not by what is the other operators' alone."""
        return self.variant is not None


UNIT = Change("direction of unit length, as in the code", options={"direction": "unit"})
NO_CLIP = Change("no clip of the steps", options={"weight_clip": None})
# the mean over two outputs is half of equation 1's sum
MEAN = Change("divergence averaged over outputs, as in the code", intensity=2 * 0.005)
ONE_OUTPUT = Change("one sigmoid output, as in the text", variant="one output")


@dataclass(frozen=True)
class Choice:
    """One method of figure 1 or 3 with one choice made otherwise."""

    figure: SuccessCurves
    method: str
    change: Change

    def experiment(self, request: Request) -> Experiment:
        """The figure's experiment with the change."""
        domain, change = DOMAINS[self.figure.domain](), self.change
        return experiment(
            domain.variant(change.variant) if change.variant else domain,
            self.method,
            seed=request.seed,
            runs=request.runs,
            max_evaluations=request.max_evaluations,
            intensity=change.intensity,
            options=change.options,
        )


CHOICES = {
    "parity-SO-unit": Choice(FIGURE_1, "SM-G-SO", UNIT),
    "parity-SM-R-mean": Choice(FIGURE_1, "SM-R", MEAN),
    "parity-control-one-output": Choice(FIGURE_1, "control", ONE_OUTPUT),
    "parity-SUM-one-output": Choice(FIGURE_1, "SM-G-SUM", ONE_OUTPUT),
    "parity-SO-one-output": Choice(FIGURE_1, "SM-G-SO", ONE_OUTPUT),
    "maze-SM-R-mean": Choice(FIGURE_3, "SM-R", MEAN),
    "maze-SO-unit": Choice(FIGURE_3, "SM-G-SO", UNIT),
    "maze-ABS-unclipped": Choice(FIGURE_3, "SM-G-ABS", NO_CLIP),
}


@dataclass(frozen=True)
class OpenChoices(Figure):
    """All choices, as a table."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each choice."""
        folder = self.folder(request.results)
        experiments = {
            folder / f"{name}.json": choice.experiment(request) for name, choice in CHOICES.items()
        }
        return self.searches(request, experiments)

    def tables(self, results: Path) -> dict[str, str]:
        """The choices that have run."""
        return {self.name: self.table(results)} if self.folder(results).exists() else {}

    def table(self, results: Path) -> str:
        """Runs solved and median evaluations of each choice against ours, as a Markdown table."""
        compared = ["solved, median", "ours", "p against ours", "p against control"]
        rows = []
        for name, choice in CHOICES.items():
            files = [
                self.folder(results) / f"{name}.json",
                results / choice.figure.name / f"{choice.method}.json",
                *self._control(results, choice),
            ]
            if not all(file.exists() for file in files):
                continue
            changed, ours, *control = [solved_at(file) for file in files]
            figure = choice.figure.name.removeprefix("figure-")
            cells = [figure, choice.method, choice.change.text]
            cells += [", ".join(summary(runs)) for runs in (changed, ours)]
            cells.append(f"{mannwhitneyu(changed, ours).pvalue:.2g}")
            cells += [f"{mannwhitneyu(changed, runs).pvalue:.2g}" for runs in control] or [""]
            rows.append(cells)
        return markdown_table(["figure", "method", "choice", *compared], rows)

    def _control(self, results: Path, choice: Choice) -> list[Path]:
        """The result of the control under the same choice, if there is one to compare with."""
        if choice.method == "control":
            return []
        if not choice.change.concerns_control:
            return [results / choice.figure.name / "control.json"]
        same = Choice(choice.figure, "control", choice.change)
        return [self.folder(results) / f"{name}.json" for name, other in CHOICES.items() if other == same]


OPEN_CHOICES = OpenChoices("choices")
