"""The grid search behind table S1: which mutation intensity suits each method in Recurrent Parity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from evolution.domains.recurrent_parity import RecurrentParity
from evolution.result import solved_at
from paper.figure import Figure, Job, Request
from paper.markdown import markdown_table
from paper.statistics import mean_evaluations, solved_in_the_end
from paper.style import COLOURS, METHODS, save_figure
from paper.table_s2 import TABLE_S2, experiment
from safe_mutation.presets import PRESETS

INTENSITIES = (1e-1, 5e-2, 1e-2, 5e-3, 1e-3, 1e-4)
RUNS = 8
DOMAIN = RecurrentParity()
BUDGET = TABLE_S2[DOMAIN.name].max_evaluations  # a failed run counts as so many evaluations


@dataclass(frozen=True)
class IntensityGrid(Figure):
    """Eight runs for each method and intensity."""

    follows = frozenset({"methods", "runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each point of the grid."""
        experiments = {
            result_file(self.folder(request.results), method, intensity): experiment(
                DOMAIN,
                method,
                seed=request.seed,
                runs=request.runs or RUNS,
                max_evaluations=request.max_evaluations,
                intensity=intensity,
            )
            for method, intensity in product(request.methods, INTENSITIES)
        }
        return self.searches(request, experiments)

    def draw(self, results: Path) -> None:
        """Mean evaluations to the solution over intensity, one curve per method."""
        if self._complete(results):
            draw(self.folder(results), self.folder(results) / self.name)

    def tables(self, results: Path) -> dict[str, str]:
        """Runs solved and mean evaluations of every point."""
        return {"intensities": table(self.folder(results))} if self._complete(results) else {}

    def _complete(self, results: Path) -> bool:
        points = product(METHODS, INTENSITIES)
        return all(result_file(self.folder(results), *point).exists() for point in points)


def result_file(folder: Path, method: str, intensity: float) -> Path:
    """Where the runs of one point of the grid are kept."""
    return folder / f"{method}-{intensity:g}.json"


def table(folder: Path) -> str:
    """Runs solved and mean evaluations for each method and intensity, as a Markdown table."""
    rows = []
    for method in METHODS:
        points = [solved_at(result_file(folder, method, intensity)) for intensity in INTENSITIES]
        cells = [
            f"{solved_in_the_end(point)}, {mean_evaluations(point, BUDGET) / 1000:.0f}k" for point in points
        ]
        best = INTENSITIES[int(np.argmin([mean_evaluations(point, BUDGET) for point in points]))]
        rows.append([method, *cells, f"{best:g}", f"{_published(method):g}"])
    return markdown_table(["method", *(f"{one:g}" for one in INTENSITIES), "best", "table S1"], rows)


def draw(folder: Path, stem: Path) -> None:
    """Mean evaluations to the solution over intensity, one curve per method."""
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for method in METHODS:
        found = [solved_at(result_file(folder, method, intensity)) for intensity in INTENSITIES]
        scores = [mean_evaluations(point, BUDGET) for point in found]
        ax.plot(INTENSITIES, scores, "o-", color=COLOURS[method], label=method)
        published = _published(method)
        circled = scores[INTENSITIES.index(published)]
        ax.plot(published, circled, "o", markersize=12, fillstyle="none", color=COLOURS[method])
    ax.set(
        xscale="log",
        xlabel="mutation intensity (circled: table S1)",
        ylabel="mean evaluations to the solution",
    )
    ax.legend(fontsize=8)
    ax.grid(alpha=0.25)
    save_figure(figure, stem)


def _published(method: str) -> float:
    return PRESETS[DOMAIN.name].intensity[method]


TABLE_S1 = IntensityGrid("table-S1")
