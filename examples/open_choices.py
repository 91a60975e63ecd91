"""What the choices change that the paper and its published code leave open, or make differently.

Each is compared with the same method as figures 1 and 3 ran it, in the same domain and with the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from claims import middle, solved_at


@dataclass(frozen=True)
class Choice:
    """One way to do it differently.

    Attributes:
        text: What is different.
        figure: Whose experiment it changes.
        operator: The method.
        intensity: Another mutation intensity, None for table S1's.
        options: Other arguments of the operator.
        removal: Another rule of whom a child replaces.
        variant: Another form of the domain.
    """

    text: str
    figure: str
    operator: str
    intensity: float | None = None
    options: tuple[tuple[str, Any], ...] = ()
    removal: str = "same"
    variant: str | None = None


UNIT = (("direction", "unit"),)
NO_CLIP = (("weight_clip", None),)

CHOICES = {
    "parity-SO-unit": Choice("direction of unit length, as in the code", "figure-1", "SM-G-SO", options=UNIT),
    "parity-SM-R-mean": Choice(
        "divergence averaged over outputs, as in the code", "figure-1", "SM-R", intensity=0.005 * 2
    ),
    "parity-control-removal": Choice(
        "the worst of another tournament is replaced", "figure-1", "control", removal="another"
    ),
    "parity-SO-removal": Choice(
        "the worst of another tournament is replaced", "figure-1", "SM-G-SO", removal="another"
    ),
    "parity-control-one-output": Choice(
        "one sigmoid output, as in the text", "figure-1", "control", variant="one output"
    ),
    "parity-SUM-one-output": Choice(
        "one sigmoid output, as in the text", "figure-1", "SM-G-SUM", variant="one output"
    ),
    "parity-SO-one-output": Choice(
        "one sigmoid output, as in the text", "figure-1", "SM-G-SO", variant="one output"
    ),
    "maze-SM-R-mean": Choice(
        "divergence averaged over outputs, as in the code", "figure-3", "SM-R", intensity=0.005 * 2
    ),
    "maze-SO-unit": Choice("direction of unit length, as in the code", "figure-3", "SM-G-SO", options=UNIT),
    "maze-ABS-unclipped": Choice("no clip of the steps", "figure-3", "SM-G-ABS", options=NO_CLIP),
    "maze-ABS-removal": Choice(
        "the worst of another tournament is replaced", "figure-3", "SM-G-ABS", removal="another"
    ),
}


def table(results: Path) -> str:
    """Runs solved and median evaluations of each choice against ours, as a Markdown table."""
    lines = [
        "| figure | method | choice | solved, median | ours | Mann-Whitney U, p |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, choice in CHOICES.items():
        file = results / "choices" / f"{name}.json"
        ours_file = results / choice.figure / f"{choice.operator}.json"
        if file.exists() and ours_file.exists():
            found, ours = solved_at(file), solved_at(ours_file)
            p = float(mannwhitneyu(found, ours).pvalue)
            what = f"{choice.figure[-1]} | {choice.operator} | {choice.text}"
            lines.append(f"| {what} | {summary(found)} | {summary(ours)} | {p:.2g} |")
    return "\n".join(lines) + "\n"


def summary(evaluations: np.ndarray) -> str:
    """Such as "13/20, 24.1k"."""
    return f"{int(np.isfinite(evaluations).sum())}/{len(evaluations)}, {middle(evaluations)}"
