"""The paper's statistical claims, tested on our data with the paper's own tests.

Mann-Whitney U compares the evaluations two methods needed; a run that failed counts as slower than
any that did not. Barnard's exact test compares how many runs two methods had solved by some
evaluation. All tests are two-sided.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import barnard_exact, mannwhitneyu

SM_G = ("SM-G-ABS", "SM-G-SUM", "SM-G-SO")


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


def solved_at(result: Path) -> np.ndarray:
    """Evaluations (R,) after which each run of a result file was solved; inf for those that never were."""
    runs = json.loads(result.read_text())["runs"]
    return np.array([run["solved_at"] or np.inf for run in runs])


def solved_by(evaluations: np.ndarray, limit: float) -> str:
    """How many runs were solved by some evaluation, such as "13/20"."""
    return f"{int((evaluations <= limit).sum())}/{len(evaluations)}"


def middle(evaluations: np.ndarray) -> str:
    """The median of evaluations in thousands, "never" when most runs failed."""
    median = float(np.median(evaluations))
    return f"{median / 1000:.1f}k" if np.isfinite(median) else "never"


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


def parity_claims(data: dict[str, np.ndarray]) -> list[Claim]:
    """Figure 1, Recurrent Parity."""
    return [
        *(faster("1", method, data, 0.001) for method in SM_G),
        faster("1", "SM-R", data, 0.05),
    ]


def hard_maze_claims(data: dict[str, np.ndarray]) -> list[Claim]:
    """Figure 3, Breadcrumb Hard Maze."""
    budget = 100_000
    counts = {method: int((found <= budget).sum()) for method, found in data.items()}
    every = [method for method, found in data.items() if np.isfinite(found).all()]
    listed = ", ".join(f"{method} {solved_by(found, budget)}" for method, found in data.items())
    worst = min(counts, key=lambda method: (counts[method], -float(np.median(data[method]))))
    return [
        faster("3", "SM-G-SO", data, 0.005),
        Claim("3", "only SM-G-ABS solves every run", "20/20", listed, "count", None, every == ["SM-G-ABS"]),
        more_solved("3", "SM-G-ABS", "control", data, 60_000),
        more_solved("3", "SM-G-ABS", "SM-R", data, 60_000),
        alike("3", "SM-G-SUM", data),
        Claim("3", "SM-R solves the fewest runs", "fewest", listed, "count", None, worst == "SM-R"),
    ]


def table(claims: list[Claim]) -> str:
    """The claims as a Markdown table."""
    lines = [
        "| figure | claim | paper | ours | test | p | holds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for claim in claims:
        p = "" if claim.p is None else f"{claim.p:.2g}"
        holds = "yes" if claim.holds else "**no**"
        lines.append(
            f"| {claim.figure} | {claim.text} | {claim.paper} | {claim.ours} | {claim.test} | {p} | {holds} |"
        )
    return "\n".join(lines) + "\n"
