"""What the studies share: where their data and tables go, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes

from evolution.experiment import Experiment
from evolution.result import Search
from paper.figure import Figure, Job, Request
from paper.style import COLOURS as PAPER_COLOURS

COLOURS = PAPER_COLOURS | {"SM-G-RMS": "#db2777"}


@dataclass(frozen=True)
class Study(Figure):
    """A figure beyond the paper; that of the name ``beyond-X`` has its data in the folder ``beyond/X``."""

    page: ClassVar[str] = "beyond/README.md"

    def folder(self, results: Path) -> Path:
        """Where its data and pictures are."""
        return results / "beyond" / self.name.removeprefix("beyond-")

    def searches(self, request: Request, experiments: Mapping[Path, Experiment]) -> list[Job]:
        """A search for each experiment; they have their checkpoints in folders named like their results.

        Args:
            request: What was asked for.
            experiments: By the file of the result, in the study's folder.
        """
        folder, work = self.folder(request.results), request.work / self.name
        command = request.command(self.name)
        return [
            Search(experiment, file, work / file.relative_to(folder).with_suffix(""), command, position)
            for position, (file, experiment) in enumerate(experiments.items())
        ]


def draw_success(ax: Axes, evaluations: np.ndarray, budget: int, **style: Any) -> None:
    """The share of runs solved over evaluations, without an interval: where many curves share a panel.

    Args:
        ax: Where to draw.
        evaluations: At which each run was solved (R,), inf for never.
        budget: Evaluations of a run.
        style: Of the line.
    """
    solved = np.sort(evaluations[evaluations <= budget])
    x = np.concatenate([[0], solved, [budget]])
    shares = np.concatenate([np.arange(len(solved) + 1), [len(solved)]]) / len(evaluations)
    ax.step(x, shares, where="post", **style)
    ax.set(xlim=(0, budget), ylim=(-0.02, 1.02))
