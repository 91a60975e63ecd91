"""What the studies share: where their data and tables go, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes

from paper.figure import Figure
from paper.figures.success_curves import success_steps
from paper.style import COLOURS as PAPER_COLOURS

COLOURS = PAPER_COLOURS | {"SM-G-RMS": "#db2777"}


@dataclass(frozen=True)
class Study(Figure):
    """A figure beyond the paper; that of the name ``beyond-X`` has its data in the folder ``beyond/X``."""

    page: ClassVar[str] = "beyond/README.md"

    def folder(self, results: Path) -> Path:
        """Where its data and pictures are."""
        return results / "beyond" / self.name.removeprefix("beyond-")


def file_name(title: str) -> str:
    """A title without spaces, commas and apostrophes."""
    return title.replace(", ", "-").replace(" ", "-").replace("'", "")


def draw_success(ax: Axes, evaluations: np.ndarray, budget: int, **style: Any) -> None:
    """The share of runs solved over evaluations, without an interval: where many curves share a panel.

    Args:
        ax: Where to draw.
        evaluations: At which each run was solved (R,), inf for never.
        budget: Evaluations of a run.
        style: Of the line.
    """
    x, solved = success_steps(evaluations, budget)
    ax.step(x, solved / len(evaluations), where="post", **style)
    ax.set(xlim=(0, budget), ylim=(-0.02, 1.02))
