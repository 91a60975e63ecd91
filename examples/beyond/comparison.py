"""New operators against the paper's five, each of these at its own tuned sigma, in one domain.

Mann-Whitney U compares the evaluations that runs needed; a run that failed counts as slower than any
that did not. P-values are corrected for the number of comparisons in a table (Holm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu

from evolution.atomic_file import read_json
from evolution.parts import parts
from evolution.result import finished
from paper.figures.large_networks import FIGURE_4
from paper.figures.pixel_mazes import FIGURE_6, FIGURE_8
from paper.figures.success_curves import FIGURE_1, FIGURE_3, SuccessCurves
from paper.markdown import markdown_table
from paper.statistics import summary
from paper.table_s2 import TABLE_S2

ALPHA = 0.05
PAPER: dict[str, SuccessCurves] = {
    figure.domain: figure for figure in (FIGURE_1, FIGURE_3, FIGURE_6, FIGURE_8, *FIGURE_4.panels)
}
Runs = Mapping[str, np.ndarray]  # name -> evaluations (R,) at which its runs were solved, inf for never


class Finished(NamedTuple):
    """What has finished in a domain.

    Attributes:
        runs: Of the new operators.
        references: The runs that they are compared with.
        budget: Evaluations of a run, the same for both.
    """

    runs: Runs
    references: Runs
    budget: int


def published(results: Path, domain: str) -> dict[str, np.ndarray]:
    """The runs of the paper's methods in a domain, those of further seeds included, as far as they are there.

    Runs by another rule than table S2's of whom a child replaces are left out: they compare with nothing.
    """
    if domain not in PAPER:
        return {}
    figure = PAPER[domain]
    runs = figure.solved(results) | figure.pooled(results)
    folders = (results / figure.name, results / "more" / figure.name)
    rule = getattr(TABLE_S2[domain].algorithm, "removal", None)
    files = {method: [folder / f"{method}.json" for folder in folders] for method in runs}
    return {
        method: evaluations
        for method, evaluations in runs.items()
        if all(removal(file) in (None, rule) for file in files[method] if file.exists())
    }


def within(runs: Runs, budget: float) -> dict[str, np.ndarray]:
    """Runs as they would be with a smaller budget: those that were solved later are not solved."""
    return {name: np.where(solved <= budget, solved, np.inf) for name, solved in runs.items()}


def comparable(results: Mapping[str, Path], planned: int) -> tuple[dict[str, np.ndarray], int]:
    """The runs that are there, by name, as they would be with the smallest budget of any; and that budget.

    Args:
        results: The result file of each name.
        planned: Evaluations of a run where ``--max-evaluations`` has cut none.
    """
    records = [read_json(file).get("record", {}) for result in results.values() for file in parts(result)]
    budget = min([planned, *(record.get("max_evaluations", planned) for record in records)])
    return within(finished(results), budget), budget


def removal(result: Path) -> str | None:
    """Whom a child replaced in the runs of a result file, also one of an earlier version, if it says so."""
    content = read_json(result)
    settings = content.get("record", {}).get("algorithm") or content.get("settings", {})
    found: str | None = settings.get("removal")
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: p-values that hold for all comparisons together."""
    order = np.argsort(p_values)
    corrected = np.empty(len(p_values))
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected.tolist()


@dataclass(frozen=True)
class Compared:
    """One new operator against one of the paper's methods.

    Attributes:
        p: Mann-Whitney U, two-sided, corrected.
        better: Whether the new one is the faster: more of the pairs of runs are its own.
    """

    p: float
    better: bool

    @property
    def significant(self) -> bool:
        """Whether they differ."""
        return self.p < ALPHA

    def __str__(self) -> str:
        mark = "" if not self.significant else " faster" if self.better else " **slower**"
        return f"{self.p:.2g}{mark}"


def compare(new: Runs, references: Runs) -> dict[tuple[str, str], Compared]:
    """Every new operator against every method of the paper."""
    pairs = [(ours, theirs) for ours in new for theirs in references]
    tests = [mannwhitneyu(new[ours], references[theirs]) for ours, theirs in pairs]
    better = [
        test.statistic < len(new[ours]) * len(references[theirs]) / 2
        for test, (ours, theirs) in zip(tests, pairs, strict=True)
    ]
    corrected = holm([float(test.pvalue) for test in tests])
    found = [Compared(p, faster) for p, faster in zip(corrected, better, strict=True)]
    return dict(zip(pairs, found, strict=True))


def table(
    header: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    new: Runs,
    references: Runs,
    reference: str = "{} of the paper",
) -> str:
    """Runs solved, median and corrected p against the references, as a Markdown table.

    Args:
        header: Names of the columns that tell the rows apart.
        labels: Those columns of each new operator.
        new: The runs of those that have finished.
        references: Runs to compare with, which are the first rows: by default the paper's methods.
        reference: The title of such a row, with its name for the braces.
    """
    compared = compare(new, references)
    titles = [*header, "solved", "median", *(f"p against {name}" for name in references)]
    blank = [""] * (len(header) - 1)
    rows = [
        [reference.format(name), *blank, *summary(evaluations), *[""] * len(references)]
        for name, evaluations in references.items()
    ]
    for name, evaluations in new.items():
        against = [str(compared[name, other]) for other in references]
        rows.append([*labels[name], *summary(evaluations), *against])
    text = markdown_table(titles, rows)
    unfinished = f"\n{len(new)} of {len(labels)} have finished.\n"
    return text if len(new) == len(labels) else text + unfinished
