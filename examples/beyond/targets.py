"""What one setting for every domain was to reach, decided before any of it was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from beyond.comparison import Finished, compare
from paper.markdown import markdown_table
from paper.statistics import middle, solved_by, summary


@dataclass(frozen=True)
class Target:
    """How many runs of a domain are to be solved, and by when.

    Attributes:
        share: Of the runs.
        by: Evaluations.
    """

    share: float
    by: int

    def __str__(self) -> str:
        return f"{self.share:.0%} of the runs by {self.by:,}"

    def reached(self, evaluations: np.ndarray) -> bool:
        """Whether runs (R,), solved at these evaluations, reach it."""
        return bool((evaluations <= self.by).mean() >= self.share)


TARGETS = {
    "recurrent-parity": Target(0.5, 20_000),
    "breadcrumb-hard-maze": Target(50 / 60, 100_000),
    "topdown-maze": Target(18 / 20, 10_000),
    "first-person-maze": Target(27 / 30, 50_000),
}


def verdicts(finished: Mapping[str, Finished]) -> str:
    """Every setting in every domain that it has run in, beside the paper's methods, as a Markdown table."""
    titles = ["setting", "domain", "target", "reached", "best or tied", "twice as fast as control"]
    rows = []
    for domain, (runs, references, budget) in finished.items():
        compared = compare(runs, references)
        for name, evaluations in runs.items():
            slower = [
                f"{method} (p = {pair.p:.2g})"
                for (ours, method), pair in compared.items()
                if ours == name and pair.significant and not pair.better
            ]
            cells = [name, domain, *_against(TARGETS.get(domain), evaluations, budget)]
            lost = f"**no**: slower than {', '.join(slower)}" if slower else "yes"
            cells.append(lost if references else "")
            cells.append(_twice(evaluations, references["control"]) if "control" in references else "")
            rows.append(cells)
    return markdown_table(titles, rows)


def _against(target: Target | None, evaluations: np.ndarray, budget: int) -> list[str]:
    if target is None:
        return ["", ", ".join(summary(evaluations))]
    found = f"{solved_by(evaluations, target.by)}, median {middle(evaluations)}"
    if target.reached(evaluations):
        return [str(target), f"yes: {found}"]
    if budget < target.by:
        return [str(target), f"not told by {budget:,}: {', '.join(summary(evaluations))}"]
    return [str(target), f"**no**: {found}"]


def _twice(evaluations: np.ndarray, control: np.ndarray) -> str:
    """By the medians; a control that mostly fails counts as its median never."""
    ours, theirs = float(np.median(evaluations)), float(np.median(control))
    if np.isinf(ours):
        return "**no**"
    if np.isinf(theirs):
        return "yes: control mostly fails"
    return f"{'yes' if theirs >= 2 * ours else '**no**'}: {theirs / ours:.1f} times"
