"""The paper's statistical claims, tested on our data with the paper's own tests.

Mann-Whitney U compares the evaluations two methods needed; a run that failed counts as slower than
any that did not. Barnard's exact test compares how many runs two methods had solved by some
evaluation. All tests are two-sided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import barnard_exact, mannwhitneyu

from paper.markdown import markdown_table


@dataclass(frozen=True)
class Claim:
    """One row of the table of claims.

    Attributes:
        figure: Where the paper makes it.
        text: The claim.
        paper: What the paper reports.
        ours: What our data say.
        test: The statistical test, or "count" where the claim is a plain number.
        p: Its p-value, if it is a test.
        holds: Whether our data bear the claim out.
    """

    figure: str
    text: str
    paper: str
    ours: str
    test: str
    p: float | None
    holds: bool


def solved_by(evaluations: np.ndarray, limit: float) -> str:
    """How many runs were solved by some evaluation, such as "13/20"."""
    return f"{int((evaluations <= limit).sum())}/{len(evaluations)}"


def solved_in_the_end(evaluations: np.ndarray) -> str:
    """How many runs were solved at all, such as "13/20"."""
    return f"{int(np.isfinite(evaluations).sum())}/{len(evaluations)}"


def middle(evaluations: np.ndarray) -> str:
    """The median of evaluations in thousands, "never" when most runs failed."""
    median = float(np.median(evaluations))
    return f"{median / 1000:.1f}k" if np.isfinite(median) else "never"


def summary(evaluations: np.ndarray) -> list[str]:
    """Such as "13/20" and "24.1k"."""
    return [solved_in_the_end(evaluations), middle(evaluations)]


def mean_evaluations(evaluations: np.ndarray, budget: int) -> float:
    """To the solution; a failed run counts its whole budget."""
    return float(np.minimum(evaluations, budget).mean())


def faster(figure: str, method: str, data: dict[str, np.ndarray], alpha: float) -> Claim:
    """The claim that a method needs fewer evaluations than the control, failures counted."""
    ours, control = data[method], data["control"]
    p = float(mannwhitneyu(ours, control).pvalue)
    return Claim(
        figure,
        f"{method} solves faster than control",
        f"p < {alpha:g}",
        f"median {middle(ours)} against {middle(control)}",
        "Mann-Whitney U",
        p,
        p < alpha and float(np.median(ours)) < float(np.median(control)),
    )


def alike(figure: str, method: str, data: dict[str, np.ndarray]) -> Claim:
    """The claim that a method is no faster and no slower than the control."""
    ours, control = data[method], data["control"]
    p = float(mannwhitneyu(ours, control).pvalue)
    text = f"{method} is like control"
    found = f"median {middle(ours)} against {middle(control)}"
    return Claim(figure, text, "no difference", found, "Mann-Whitney U", p, p >= 0.05)


def more_solved(figure: str, better: str, worse: str, data: dict[str, np.ndarray], limit: int) -> Claim:
    """The claim that a method has solved more runs than another by some evaluation."""
    table = [[int((data[name] <= limit).sum()), int((data[name] > limit).sum())] for name in (better, worse)]
    p = float(barnard_exact(np.array(table).T).pvalue)
    return Claim(
        figure,
        f"{better} has solved more runs than {worse} at {limit:,} evaluations",
        "p < 0.05",
        f"{solved_by(data[better], limit)} against {solved_by(data[worse], limit)}",
        "Barnard's exact",
        p,
        p < 0.05 and table[0][0] > table[1][0],
    )


def table(claims: list[Claim]) -> str:
    """The claims as a Markdown table."""
    rows = []
    for claim in claims:
        p = "" if claim.p is None else f"{claim.p:.2g}"
        holds = "yes" if claim.holds else "**no**"
        rows.append([claim.figure, claim.text, claim.paper, claim.ours, claim.test, p, holds])
    return markdown_table(["figure", "claim", "paper", "ours", "test", "p", "holds"], rows)
