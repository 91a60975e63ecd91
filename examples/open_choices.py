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
    """One method of figure 1 or 3 with one choice made otherwise.

    Attributes:
        text: What differs.
        figure: Whose experiment it changes.
        operator: The method.
        changes: Fields of ``Experiment`` and what they become.
    """

    text: str
    figure: str
    operator: str
    changes: dict[str, Any]


UNIT = {"options": (("direction", "unit"),)}
NO_CLIP = {"options": (("weight_clip", None),)}
MEAN = {"intensity": 2 * 0.005}  # the mean over two outputs is half of equation 1's sum
REMOVAL = {"removal": "another"}
ONE_OUTPUT = {"variant": "one output"}

DIRECTION_TEXT = "direction of unit length, as in the code"
MEAN_TEXT = "divergence averaged over outputs, as in the code"
REMOVAL_TEXT = "the worst of another tournament is replaced"
OUTPUT_TEXT = "one sigmoid output, as in the text"

CHOICES = {
    "parity-SO-unit": Choice(DIRECTION_TEXT, "figure-1", "SM-G-SO", UNIT),
    "parity-SM-R-mean": Choice(MEAN_TEXT, "figure-1", "SM-R", MEAN),
    "parity-control-removal": Choice(REMOVAL_TEXT, "figure-1", "control", REMOVAL),
    "parity-SO-removal": Choice(REMOVAL_TEXT, "figure-1", "SM-G-SO", REMOVAL),
    "parity-control-one-output": Choice(OUTPUT_TEXT, "figure-1", "control", ONE_OUTPUT),
    "parity-SUM-one-output": Choice(OUTPUT_TEXT, "figure-1", "SM-G-SUM", ONE_OUTPUT),
    "parity-SO-one-output": Choice(OUTPUT_TEXT, "figure-1", "SM-G-SO", ONE_OUTPUT),
    "maze-SM-R-mean": Choice(MEAN_TEXT, "figure-3", "SM-R", MEAN),
    "maze-SO-unit": Choice(DIRECTION_TEXT, "figure-3", "SM-G-SO", UNIT),
    "maze-ABS-unclipped": Choice("no clip of the steps", "figure-3", "SM-G-ABS", NO_CLIP),
    "maze-control-removal": Choice(REMOVAL_TEXT, "figure-3", "control", REMOVAL),
    "maze-ABS-removal": Choice(REMOVAL_TEXT, "figure-3", "SM-G-ABS", REMOVAL),
}


def table(results: Path) -> str:
    """Runs solved and median evaluations of each choice against ours, as a Markdown table."""
    lines = [
        "| figure | method | choice | solved, median | ours | p against ours | p against control |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, choice in CHOICES.items():
        files = [
            results / "choices" / f"{name}.json",
            results / choice.figure / f"{choice.operator}.json",
            control_file(results, choice),
        ]
        if not all(file is None or file.exists() for file in files):
            continue
        found, ours, *control = [solved_at(file) for file in files if file is not None]
        cells = [choice.figure[-1], choice.operator, choice.text, summary(found), summary(ours)]
        cells.append(f"{mannwhitneyu(found, ours).pvalue:.2g}")
        cells += [f"{mannwhitneyu(found, runs).pvalue:.2g}" for runs in control] or [""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def control_file(results: Path, choice: Choice) -> Path | None:
    """The result of the control under the same choice, None where there is none to compare with."""
    if choice.operator == "control":
        return None
    if choice.changes.keys() <= {"options", "intensity"}:  # these do not concern the control
        return results / choice.figure / "control.json"
    for name, other in CHOICES.items():
        if (other.figure, other.operator, other.changes) == (choice.figure, "control", choice.changes):
            return results / "choices" / f"{name}.json"
    return None


def summary(evaluations: np.ndarray) -> str:
    """Such as "13/20, 24.1k"."""
    return f"{int(np.isfinite(evaluations).sum())}/{len(evaluations)}, {middle(evaluations)}"
