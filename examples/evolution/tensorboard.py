"""The history of a search in TensorBoard; ``pip install tensorboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """A listener of the history: a curve for each run and number, over evaluations.

    Args:
        folder: Where TensorBoard looks for event files.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def __call__(self, line: dict[str, Any]) -> None:
        """Take a line of the history."""
        for name in ("best_fitness", "mean_fitness", "solved"):
            self._writer.add_scalar(f"{name}/run {line['run']}", float(line[name]), line["evaluations"])

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()
