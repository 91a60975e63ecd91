"""What the choices change that the paper and its published code leave open, or make differently.

Each is compared with the same method as figures 1 and 3 ran it, in the same domain and with the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from paper.statistics import middle, solved_at


@dataclass(frozen=True)
class Choice:
    """One method of figure 1 or 3 with one choice made otherwise.

    Attributes:
        figure: Whose experiment it changes.
        operator: The method.
        text: What differs.
        changes: Fields of ``Experiment`` and what they become.
    """

    figure: str
    operator: str
    text: str
    changes: dict[str, Any]


UNIT = ("direction of unit length, as in the code", {"options": (("direction", "unit"),)})
NO_CLIP = ("no clip of the steps", {"options": (("weight_clip", None),)})
# the mean over two outputs is half of equation 1's sum
MEAN = ("divergence averaged over outputs, as in the code", {"intensity": 2 * 0.005})
REMOVAL = ("the worst of another tournament is replaced", {"removal": "another"})
ONE_OUTPUT = ("one sigmoid output, as in the text", {"variant": "one output"})

CHOICES = {
    "parity-SO-unit": Choice("figure-1", "SM-G-SO", *UNIT),
    "parity-SM-R-mean": Choice("figure-1", "SM-R", *MEAN),
    "parity-control-removal": Choice("figure-1", "control", *REMOVAL),
    "parity-SO-removal": Choice("figure-1", "SM-G-SO", *REMOVAL),
    "parity-control-one-output": Choice("figure-1", "control", *ONE_OUTPUT),
    "parity-SUM-one-output": Choice("figure-1", "SM-G-SUM", *ONE_OUTPUT),
    "parity-SO-one-output": Choice("figure-1", "SM-G-SO", *ONE_OUTPUT),
    "maze-SM-R-mean": Choice("figure-3", "SM-R", *MEAN),
    "maze-SO-unit": Choice("figure-3", "SM-G-SO", *UNIT),
    "maze-ABS-unclipped": Choice("figure-3", "SM-G-ABS", *NO_CLIP),
    "maze-control-removal": Choice("figure-3", "control", *REMOVAL),
    "maze-ABS-removal": Choice("figure-3", "SM-G-ABS", *REMOVAL),
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
