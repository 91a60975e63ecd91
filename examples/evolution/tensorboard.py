"""The history of a search in TensorBoard; ``pip install tensorboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """A listener of the history: a curve for each number over evaluations, the runs beside each other.

    A search that goes on from a checkpoint takes up each curve where the checkpoint has it.

    Args:
        folder: Where TensorBoard looks for event files; each run gets a folder of its own in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}

    def __call__(self, line: dict[str, Any]) -> None:
        """Take a line of the history."""
        run, evaluations = line["run"], line["evaluations"]
        if run not in self._writers:
            self._writers[run] = SummaryWriter(str(self._folder / f"run-{run}"), purge_step=evaluations)
        for name in ("best_fitness", "mean_fitness", "solved"):
            if line[name] is not None:
                self._writers[run].add_scalar(name, float(line[name]), evaluations)

    def close(self) -> None:
        """Write what is not written yet."""
        for writer in self._writers.values():
            writer.close()
