"""The default operator in Gymnasium's own tasks, whose outputs have a scale of their own or none.

Against the control, SM-G-SUM and SM-G-SO, each with the sigma whose children diverge as far in the median
among the founders: what one would set who knows no more of the task than the default does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from beyond.calibrated import calibrated
from beyond.comparison import holm
from beyond.gymnasium_task import GymnasiumTask
from beyond.study import Study, file_name
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.atomic_file import read_json
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.markdown import markdown_table
from safe_mutation import SMGSO, GaussianMutation, SafeMutation, SMGSum

# Not Acrobot, which the best of 32 random networks solve.
ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1", "LunarLander-v3", "MountainCarContinuous-v0")
RUNS, EVALUATIONS = 10, 300
ALGORITHM = SteadyStateGA(population_size=32, tournament_size=5)
GUESS = 4  # children of a run in one batch


def default(task: GymnasiumTask) -> SafeMutation:
    """The default operator as it is."""
    return SafeMutation(task.network)


def winner(task: GymnasiumTask) -> SafeMutation:
    """The default operator with the setting that won the race (``finalists.py``)."""
    return SafeMutation(task.network, divergence=0.01, exponent=2)


# Of each method: whether outputs have a scale of their own, and the operator.
METHODS: dict[str, tuple[bool, Callable[[GymnasiumTask], Any]]] = {
    "default": (True, default),
    "default, raw outputs": (False, default),
    "control": (True, partial(calibrated, GaussianMutation)),
    "SM-G-SUM": (True, partial(calibrated, SMGSum)),
    "SM-G-SO": (True, partial(calibrated, SMGSO)),
    "exponent 2, D of 0.01": (True, winner),
}


def order(runs: Sequence[dict[str, Any]]) -> list[float]:
    """The smaller the better: evaluations to the solution; those that found none follow, by their returns."""
    return [run["solved_at"] or EVALUATIONS + 1e6 - run["best_fitness"] for run in runs]


def reached(runs: Sequence[dict[str, Any]]) -> str:
    """Such as "10/10 solved, median 105", or the median return where no run has solved the task."""
    solved = [run["solved_at"] or np.inf for run in runs]
    if np.isinf(solved).all():
        return f"{np.median([run['best_fitness'] for run in runs]):.4g}"
    half = np.median(solved)
    middle = "never" if np.isinf(half) else f"{half:.0f}"
    return f"{np.isfinite(solved).sum()}/{len(runs)} solved, median {middle}"


@dataclass(frozen=True)
class GymnasiumTasks(Study):
    """Ten runs of every method in every task."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each method in each task."""
        experiments: dict[Path, Experiment] = {}
        for environment, (method, (natural, operator)) in product(ENVIRONMENTS, METHODS.items()):
            task = GymnasiumTask(environment=environment, natural=natural)
            experiments[self.file(request.results, environment, method)] = Experiment(
                task,
                operator(task),
                ALGORITHM,
                request.seed,
                request.runs or RUNS,
                request.max_evaluations or EVALUATIONS,
                stop_when_solved=False,
                guess=GUESS,
            )
        return self.searches(request, experiments)

    def tables(self, results: Path) -> dict[str, str]:
        """What the runs reached, and the corrected p of those that differ from the default's."""
        found = self._found(results)
        others = [key for key in found if key[1] != "default" and (key[0], "default") in found]
        tests = [mannwhitneyu(*(order(found[one]) for one in (key, (key[0], "default")))) for key in others]
        corrected = dict(zip(others, holm([float(test.pvalue) for test in tests]), strict=True))
        rows = []
        for environment in dict.fromkeys(environment for environment, _ in found):
            cells = [environment]
            for method in METHODS:
                p = corrected.get((environment, method))
                runs = found.get((environment, method))
                cells.append("" if runs is None else reached(runs))
                cells[-1] += "" if p is None else f" (p = {p:.2g})"
            rows.append(cells)
        return {"gymnasium": markdown_table(["task", *METHODS], rows)} if found else {}

    def _found(self, results: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
        files = {key: self.file(results, *key) for key in product(ENVIRONMENTS, METHODS)}
        return {key: read_json(file)["runs"] for key, file in files.items() if file.exists()}

    def file(self, results: Path, environment: str, method: str) -> Path:
        """The result of one method in one task."""
        return self.folder(results) / environment / f"{file_name(method)}.json"


GYMNASIUM_TASKS = GymnasiumTasks("beyond-gymnasium")
