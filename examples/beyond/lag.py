"""What it costs a search to breed children before the last ones are in: lags in Recurrent Parity.

With a lag of L so many children of a replicate are in the making at once, and as many cores can be
employed. What they gain is compared with as many runs on their own, of which the first solution counts.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from beyond.comparison import Runs, compare
from beyond.study import Study, draw_success, file_name
from evolution.domains import DOMAINS
from evolution.result import finished
from paper.figure import Job, Request
from paper.markdown import markdown_table
from paper.statistics import summary
from paper.style import save_figure
from paper.table_s2 import TABLE_S2, experiment

DOMAIN, METHOD = "recurrent-parity", "SM-G-SUM"
LAGS = {f"lag {lag}": lag for lag in (1, 8, 32, 128)}
[ONE, *_] = LAGS  # the paper's
COLOURS = dict(zip(LAGS, ("#111827", "#2563eb", "#ea580c", "#dc2626"), strict=True))


@dataclass(frozen=True)
class Lag(Study):
    """A search for each lag; all else is the paper's."""

    follows = frozenset({"runs", "first", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each lag."""
        plain = experiment(
            DOMAINS[DOMAIN](),
            METHOD,
            seed=request.seed,
            runs=request.runs,
            max_evaluations=request.max_evaluations,
        )
        return self.searches(
            request,
            {
                self._file(request.results, name): dataclasses.replace(plain, lag=lag)
                for name, lag in LAGS.items()
            },
        )

    def runs(self, results: Path) -> Runs:
        """The runs of the lags that have finished."""
        return finished({name: self._file(results, name) for name in LAGS})

    def draw(self, results: Path) -> None:
        """Success curves, and how long so many cores take to a solution."""
        if runs := self.runs(results):
            figure, (curves, times) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
            draw_curves(curves, runs)
            draw_times(times, runs)
            save_figure(figure, self.folder(results) / "lag")

    def tables(self, results: Path) -> dict[str, str]:
        """A row for each lag."""
        runs = self.runs(results)
        return {"lag": table(runs)} if ONE in runs else {}

    def _file(self, results: Path, name: str) -> Path:
        return self.folder(results) / f"{file_name(name)}.json"


def draw_curves(ax: Axes, runs: Runs) -> None:
    """The share of runs solved over evaluations."""
    for name, evaluations in runs.items():
        draw_success(ax, evaluations, TABLE_S2[DOMAIN].max_evaluations, color=COLOURS[name], label=name)
    ax.set(xlabel="evaluations", ylabel="share of runs solved")
    ax.legend(fontsize=8, loc="lower right")
    ax.grid(alpha=0.25)


def draw_times(ax: Axes, runs: Runs) -> None:
    """The median time to a solution over the number of cores."""
    ax.set(xlabel="cores = lag", ylabel="median time to a solution,\nin those of an evaluation")
    ax.grid(alpha=0.25)
    for name, evaluations in runs.items():
        ax.plot(LAGS[name], first_of(1, evaluations) / LAGS[name], "o", color=COLOURS[name])
    if ONE not in runs or not np.isfinite(median := first_of(1, runs[ONE])):
        return
    cores = np.unique(np.geomspace(1, max(LAGS.values()), 30).astype(int))
    alone = [first_of(int(number), runs[ONE]) for number in cores]
    ax.plot(cores, alone, color="#6b7280", label="as many runs on their own, the first solution")
    ax.plot(cores, median / cores, ":", color="#6b7280", label="one search, if a lag cost nothing")
    ax.set(xscale="log", yscale="log")
    ax.legend(fontsize=8, loc="lower left")


def first_of(number: int, evaluations: np.ndarray) -> float:
    """Median evaluations after which the first of so many runs of their own has solved the task.

    Args:
        number: Of runs side by side.
        evaluations: At which each of some runs was solved (R,), inf for never: any of these may be each.
    """
    later = 1 - np.arange(1, len(evaluations) + 1) / len(
        evaluations
    )  # chance of one run, after each of these
    return float(np.sort(evaluations)[np.argmax(later**number <= 0.5)])


def table(runs: Runs) -> str:
    """Lags against the lag of 1, and against runs on their own, as a Markdown table."""
    lagging = {name: evaluations for name, evaluations in runs.items() if name != ONE}
    compared = compare(lagging, {ONE: runs[ONE]})
    against = f"p against {ONE}"
    titles = ["lag", "solved", "median", against, "median / lag", "first of as many runs on their own"]
    rows = []
    for name, evaluations in runs.items():
        lag = LAGS[name]
        p = "" if name == ONE else str(compared[name, ONE])
        both = (first_of(1, evaluations) / lag, first_of(lag, runs[ONE]))
        rows.append([str(lag), *summary(evaluations), p, *(f"{each:,.0f}" for each in both)])
    return markdown_table(titles, rows, align="---:")


LAG = Lag("beyond-lag")
