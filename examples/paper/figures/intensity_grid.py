"""The grid search behind table S1: which mutation intensity suits each method in Recurrent Parity."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from paper.statistics import solved_at
from paper.success_plot import COLOURS, save_figure
from paper.table_s2 import OPERATORS
from safe_mutation.presets import PRESETS

INTENSITIES = (1e-1, 5e-2, 1e-2, 5e-3, 1e-3, 1e-4)
RUNS = 8


def result_file(folder: Path, operator: str, intensity: float) -> Path:
    """Where the runs of one point of the grid are kept."""
    return folder / f"{operator}-{intensity:g}.json"


def score(evaluations: np.ndarray, budget: int) -> float:
    """Mean evaluations to the solution; a failed run counts its whole budget."""
    return float(np.minimum(evaluations, budget).mean())


def table(folder: Path) -> str:
    """Runs solved and mean evaluations for each method and intensity, as a Markdown table."""
    lines = [
        "| method | " + " | ".join(f"{intensity:g}" for intensity in INTENSITIES) + " | best | table S1 |",
        "| --- |" + " --- |" * (len(INTENSITIES) + 2),
    ]
    for operator in OPERATORS:
        cells, scores = [], []
        for intensity in INTENSITIES:
            file = result_file(folder, operator, intensity)
            found = solved_at(file)
            budget = json.loads(file.read_text())["settings"]["max_evaluations"]
            scores.append(score(found, budget))
            cells.append(f"{int(np.isfinite(found).sum())}/{len(found)}, {scores[-1] / 1000:.0f}k")
        best = INTENSITIES[int(np.argmin(scores))]
        published = PRESETS["recurrent-parity"].intensity[operator]
        lines.append(f"| {operator} | {' | '.join(cells)} | {best:g} | {published:g} |")
    return "\n".join(lines) + "\n"


def draw(folder: Path, stem: Path) -> None:
    """Mean evaluations to the solution over intensity, one curve per method."""
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for operator in OPERATORS:
        files = [result_file(folder, operator, intensity) for intensity in INTENSITIES]
        budget = json.loads(files[0].read_text())["settings"]["max_evaluations"]
        scores = [score(solved_at(file), budget) for file in files]
        ax.plot(INTENSITIES, scores, "o-", color=COLOURS[operator], label=operator)
        published = PRESETS["recurrent-parity"].intensity[operator]
        ax.plot(
            published,
            scores[INTENSITIES.index(published)],
            "o",
            markersize=12,
            fillstyle="none",
            color=COLOURS[operator],
        )
    ax.set(
        xscale="log",
        xlabel="mutation intensity (circled: table S1)",
        ylabel="mean evaluations to the solution",
    )
    ax.legend(fontsize=8)
    ax.grid(alpha=0.25)
    save_figure(figure, stem)
