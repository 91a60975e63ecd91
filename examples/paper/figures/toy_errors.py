"""Figure S1: the error of the toy model's hill climbers, each method on each task."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from evolution.atomic_file import read_json
from evolution.domains.toy import TASKS, Toy
from evolution.experiment import Experiment
from paper.computation import Computation
from paper.figure import Figure, Job, Request
from paper.statistics import Claim
from paper.style import COLOURS, METHODS, SM_G, save_figure
from paper.table_s2 import TABLE_S2, experiment

RECORD_INTERVAL = 20  # evaluations between two recorded errors
Errors = dict[str, dict[str, np.ndarray]]  # task -> method -> errors (runs, records)


@dataclass(frozen=True)
class Climbs(Computation):
    """All hill climbers of the figure.

    Attributes:
        runs: Hill climbers of each method on each task.
        steps: Children of each.
    """

    runs: int
    steps: int

    def compute(self) -> dict[str, Any]:
        """Compute the errors."""
        errors: dict[str, Any] = {task: {} for task in TASKS}
        cases = [(task, method) for task in TASKS for method in METHODS]
        for task, method in tqdm(cases, desc="hill climbers"):
            climbed = climb(self.experiment(task, method))
            errors[task][method] = [[float(f"{error:.4g}") for error in run] for run in climbed]
        return {"errors": errors}

    def experiment(self, task: str, method: str) -> Experiment:
        """The hill climbers of one method on one task; they climb on when they have solved it."""
        climbers = experiment(
            Toy().variant(task), method, seed=self.seed, runs=self.runs, max_evaluations=1 + self.steps
        )
        return dataclasses.replace(climbers, stop_when_solved=False)

    def settings(self) -> dict[str, Any]:
        """What decides the outcome, but for what table S1 and the domain have for each case."""
        cases = {
            f"{task}, {method}": {
                name: part
                for name, part in self.experiment(task, method).record().items()
                if name in ("domain", "operator", "algorithm", "stop_when_solved")
            }
            for task in TASKS
            for method in METHODS
        }
        return {"seed": self.seed, "runs": self.runs, "steps": self.steps, "cases": cases}


def climb(experiment: Experiment) -> np.ndarray:
    """Run hill climbers to the end.

    Returns:
        The champion's error (runs, 1 + steps / 20): of the founder and after every 20 further evaluations.
    """
    lockstep, history = experiment.lockstep(), []
    for _ in lockstep.run():
        if (lockstep.replicates[0].evaluations - 1) % RECORD_INTERVAL == 0:
            history.append([-r.champion.fitness for r in lockstep.replicates if r.champion is not None])
    return np.array(history).T


@dataclass(frozen=True)
class ToyErrors(Figure):
    """One panel per task, one curve per method."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """All hill climbers at once."""
        row = TABLE_S2["toy"]
        steps = request.max_evaluations or row.max_evaluations
        command = request.command(self.name)
        result, runs = self._data(request.results), request.runs or row.runs
        return [Climbs(result, request.seed, runs, steps, command=command)]

    def draw(self, results: Path) -> None:
        """Draw the mean errors with their 95 % confidence bands."""
        if self._data(results).exists():
            draw(load(self._data(results)), self.folder(results) / self.name)

    def claims(self, results: Path) -> list[Claim]:
        """What the paper says, as counts of runs whose error ends below 0.01."""
        return claims(load(self._data(results))) if self._data(results).exists() else []

    def _data(self, results: Path) -> Path:
        return self.folder(results) / "errors.json"


def load(result: Path) -> Errors:
    """The errors of a result file as arrays."""
    errors = read_json(result)["errors"]
    return {
        task: {method: np.array(runs) for method, runs in methods.items()} for task, methods in errors.items()
    }


def draw(errors: Errors, stem: Path) -> None:
    """Draw the mean errors with their 95 % confidence bands."""
    figure, axes = plt.subplots(1, len(errors), figsize=(3.4 * len(errors), 3.6), layout="constrained")
    for ax, (task, methods) in zip(axes, errors.items(), strict=True):
        for method, runs in methods.items():
            x = RECORD_INTERVAL * np.arange(runs.shape[1])
            mean, band = runs.mean(axis=0), 1.96 * runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
            ax.plot(x, mean, color=COLOURS[method], label=method)
            ax.fill_between(x, np.maximum(mean - band, 1e-9), mean + band, color=COLOURS[method], alpha=0.12)
        ax.axhline(Toy.solved_below, color="black", linewidth=0.6, linestyle=":")
        ax.set(title=task, xlabel="evaluations", yscale="log", ylim=(1e-4, 1e4))
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("squared error")
    axes[0].legend(fontsize=7, loc="upper right")
    save_figure(figure, stem)


def claims(errors: Errors) -> list[Claim]:
    """What the paper says of figure S1, as counts of runs whose error ends below 0.01."""
    safe = ("SM-R", *SM_G)
    washed_out = ("control", "SM-R", "SM-G-SUM")
    return [
        *(_ends(errors, task, safe, failing=("control",)) for task in ("easy", "easy (code)")),
        *(_ends(errors, task, SM_G, failing=("control", "SM-R")) for task in ("medium", "medium (code)")),
        _ends(errors, "gradient washout", ("SM-G-ABS", "SM-G-SO"), failing=washed_out),
    ]


def _ends(errors: Errors, task: str, solving: tuple[str, ...], failing: tuple[str, ...]) -> Claim:
    """The claim that the median run of some methods solves a task and that of others does not."""
    counts = {method: int((runs[:, -1] < Toy.solved_below).sum()) for method, runs in errors[task].items()}
    number = len(next(iter(errors[task].values())))
    return Claim(
        "S1",
        f"{task}: {', '.join(solving)} solve it, {', '.join(failing)} not",
        f"error below {Toy.solved_below} or not",
        ", ".join(f"{method} {count}/{number}" for method, count in counts.items()),
        "count",
        None,
        all(counts[method] > number / 2 for method in solving)
        and all(counts[method] <= number / 2 for method in failing),
    )


FIGURE_S1 = ToyErrors("figure-S1")
