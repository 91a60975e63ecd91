"""Which setting does well for others: networks and populations that are not the paper's.

The race (``race.py``) chose among directions and divergences with the paper's two small networks and its
algorithm. Here the default's setting and the race's winner run where neither was chosen, and the two settings
in between, which tell the exponent's part from the divergence's. The rule was fixed before any of it was run:
of the two finalists, the default is to be the one whose worst ratio (``race.worst_ratios``) over these tasks
is the smaller. The control, as before, has the sigma whose children diverge by 0.03 among the founders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from beyond.calibrated import calibrated
from beyond.comparison import Runs, compare
from beyond.directions import Setting
from beyond.race import GUESS, worst_ratios
from beyond.study import Study, draw_success, file_name
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import Experiment
from evolution.networks.feed_forward import FeedForward
from evolution.result import finished
from paper.figure import Job, Request
from paper.markdown import markdown_table
from paper.statistics import mean_evaluations, summary
from paper.style import save_figure
from safe_mutation import GaussianMutation, make

RUNS, EVALUATIONS = 20, 20_000
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "selu": torch.selu,
}


@dataclass(frozen=True)
class HardMazeWith(BreadcrumbHardMaze):
    """The hard maze with another feed-forward network.

    Attributes:
        hidden: Units of each hidden layer.
        activation: Its name.
    """

    name: ClassVar[str] = "hard-maze-with-another-network"

    hidden: tuple[int, ...] = (16, 16)
    activation: str = "tanh"

    @cached_property
    def network(self) -> FeedForward:
        """Eleven sensors to turn and thrust."""
        return FeedForward((11, *self.hidden, 2), ACTIVATIONS[self.activation])


@dataclass(frozen=True)
class Task:
    """A domain, and how many evolve in it."""

    domain: Domain
    population: int

    def experiment(self, operator: Any, request: Request) -> Experiment:
        """Its search with an operator."""
        return Experiment(
            self.domain,
            operator,
            SteadyStateGA(population_size=self.population),
            request.seed,
            request.runs or RUNS,
            request.max_evaluations or EVALUATIONS,
            guess=GUESS,
        )


TASKS = {
    "maze, two tanh layers of 16, population 100": Task(HardMazeWith(), 100),  # as in minimal_ga.py
    "maze, two ReLU layers of 64, population 100": Task(
        HardMazeWith(hidden=(64, 64), activation="relu"), 100
    ),
    "maze, the paper's network, population 50": Task(BreadcrumbHardMaze(), 50),
    "parity, one output, population 100": Task(RecurrentParity().variant("one output"), 100),
}
SETTINGS = {one.name: one for one in (Setting("SM-G-SO", *pair) for pair in product((1, 2), (0.03, 0.01)))}
CONTROL = "control"
STYLES = dict(
    zip(
        (*SETTINGS, CONTROL),
        (("#0f172a", "-"), ("#0f172a", "--"), ("#ea580c", "--"), ("#ea580c", "-"), ("#9ca3af", ":")),
        strict=True,
    )
)


@dataclass(frozen=True)
class OtherNetworks(Study):
    """Four settings and the control in four tasks."""

    follows = frozenset({"runs", "first", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each setting and the control in each task."""
        experiments: dict[Path, Experiment] = {}
        for place, task in TASKS.items():
            network = task.domain.network
            operators = {name: make(one.method, network, **one.options) for name, one in SETTINGS.items()}
            operators[CONTROL] = calibrated(GaussianMutation, task.domain)
            for method, operator in operators.items():
                experiments[self.file(request.results, place, method)] = task.experiment(operator, request)
        return self.searches(request, experiments)

    def tables(self, results: Path) -> dict[str, str]:
        """A row for each setting, a column for each task that has finished."""
        found = self._finished(results)
        return {"other-networks": table(found)} if found else {}

    def file(self, results: Path, task: str, method: str) -> Path:
        """The result of one method in one task."""
        return self.folder(results) / file_name(task).lower() / f"{method}.json"

    def draw(self, results: Path) -> None:
        """Success curves, a panel for each task that has finished."""
        if found := self._finished(results):
            figure, axes = plt.subplots(
                1, len(found), figsize=(4.2 * len(found), 3.6), layout="constrained", squeeze=False
            )
            for ax, (task, runs) in zip(axes[0], found.items(), strict=True):
                for method, evaluations in runs.items():
                    colour, line = STYLES[method]
                    draw_success(ax, evaluations, EVALUATIONS, color=colour, linestyle=line, label=method)
                ax.set(title=task.replace(", population", ",\npopulation"), xlabel="evaluations")
                ax.set_xticks(range(0, EVALUATIONS + 1, 5_000))
                ax.grid(alpha=0.25)
            axes[0, 0].set_ylabel("share of runs solved")
            axes[0, 0].legend(fontsize=8)
            save_figure(figure, self.folder(results) / "other-networks")

    def _finished(self, results: Path) -> dict[str, dict[str, np.ndarray]]:
        """The runs of every method, for each task in which all have finished."""
        found = {
            task: finished({method: self.file(results, task, method) for method in STYLES}) for task in TASKS
        }
        return {task: runs for task, runs in found.items() if len(runs) == len(STYLES)}


def table(found: Mapping[str, Runs]) -> str:
    """Every setting in every task, and how many times the best one's evaluations it needs, in Markdown.

    Args:
        found: For each task the runs of the settings and of the control.
    """
    scores = {
        name: [mean_evaluations(runs[name], EVALUATIONS) for runs in found.values()] for name in SETTINGS
    }
    best, worst = np.min(list(scores.values()), axis=0), worst_ratios(scores)
    rows = []
    for name, one in SETTINGS.items():
        cells = []
        for runs, ratio in zip(found.values(), scores[name] / best, strict=True):
            [against] = compare({name: runs[name]}, {CONTROL: runs[CONTROL]}).values()
            solved, median = summary(runs[name])
            cells.append(f"{solved}, {median}, {ratio:.2f} (p = {against})")
        rows.append([*one.label, *cells, f"{worst[name]:.2f}"])
    control = [", ".join(summary(runs[CONTROL])) for runs in found.values()]
    rows.append([CONTROL, "", "", *control, ""])
    text = markdown_table(["direction", "exponent", "D", *found, "worst ratio"], rows)
    return (
        text if len(found) == len(TASKS) else f"{text}\n{len(found)} of {len(TASKS)} tasks have finished.\n"
    )


OTHER_NETWORKS = OtherNetworks("beyond-other-networks")
