"""Figure S1: the error of the toy model's hill climbers, each method on each task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from evolution import checkpoint
from evolution.domains.toy import EVALUATIONS, RECORD_INTERVAL, SOLVED, TASKS, climb
from evolution.experiment import versions
from paper.statistics import SM_G, Claim
from paper.success_plot import COLOURS, save_figure
from paper.table_s2 import OPERATORS

RUNS = 20
Errors = dict[str, dict[str, np.ndarray]]  # task -> method -> errors (runs, records)


def compute(result: Path, seed: int, runs: int | None, evaluations: int | None, command: str) -> None:
    """Climb with every method on every task and write the errors, unless the file is there already."""
    runs, evaluations = runs or RUNS, evaluations or EVALUATIONS
    settings = {"seed": seed, "runs": runs, "evaluations": evaluations}
    if checkpoint.is_finished(result, settings):
        return
    errors: dict[str, Any] = {name: {} for name in TASKS}
    cases = [(task, method) for task in TASKS for method in OPERATORS]
    for task, method in tqdm(cases, desc="hill climbers"):
        climbed = climb(method, TASKS[task], runs, seed, evaluations)
        errors[task][method] = [[float(f"{error:.4g}") for error in run] for run in climbed]
    content = {"command": command, "settings": settings | {"versions": versions()}, "errors": errors}
    result.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_atomically(result, (json.dumps(content) + "\n").encode())


def load(result: Path) -> Errors:
    """The errors of a result file as arrays."""
    errors = json.loads(result.read_text())["errors"]
    return {
        task: {method: np.array(runs) for method, runs in methods.items()} for task, methods in errors.items()
    }


def draw(errors: Errors, stem: Path) -> None:
    """One panel per task, one curve per method: the mean error with its 95 % confidence band."""
    figure, axes = plt.subplots(1, len(errors), figsize=(3.4 * len(errors), 3.6), layout="constrained")
    for ax, (task, methods) in zip(axes, errors.items(), strict=True):
        for method, runs in methods.items():
            x = RECORD_INTERVAL * np.arange(runs.shape[1])
            mean, band = runs.mean(axis=0), 1.96 * runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
            ax.plot(x, mean, color=COLOURS[method], label=method)
            ax.fill_between(x, np.maximum(mean - band, 1e-9), mean + band, color=COLOURS[method], alpha=0.12)
        ax.axhline(SOLVED, color="black", linewidth=0.6, linestyle=":")
        ax.set(title=task, xlabel="evaluations", yscale="log", ylim=(1e-4, 1e4))
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("squared error")
    axes[0].legend(fontsize=7, loc="upper right")
    save_figure(figure, stem)


def claims(errors: Errors) -> list[Claim]:
    """What the paper says of figure S1, as counts of runs whose error ends below 0.01."""
    found = []
    safe = ("SM-R", *SM_G)
    for task in ("easy", "easy (code)"):
        found.append(_ends(errors, task, solving=safe, failing=("control",)))
    for task in ("medium", "medium (code)"):
        found.append(_ends(errors, task, solving=SM_G, failing=("control", "SM-R")))
    washed_out = ("control", "SM-R", "SM-G-SUM")
    found.append(_ends(errors, "gradient washout", solving=("SM-G-ABS", "SM-G-SO"), failing=washed_out))
    return found


def _ends(errors: Errors, task: str, solving: tuple[str, ...], failing: tuple[str, ...]) -> Claim:
    """The claim that the median run of some methods solves a task and that of others does not."""
    counts = {method: int((runs[:, -1] < SOLVED).sum()) for method, runs in errors[task].items()}
    number = len(next(iter(errors[task].values())))
    return Claim(
        "S1",
        f"{task}: {', '.join(solving)} solve it, {', '.join(failing)} not",
        f"error below {SOLVED} or not",
        ", ".join(f"{method} {count}/{number}" for method, count in counts.items()),
        "count",
        None,
        all(counts[method] > number / 2 for method in solving)
        and all(counts[method] <= number / 2 for method in failing),
    )
