"""The result of an experiment: computed from nothing or from a checkpoint, kept as a small file."""

from __future__ import annotations

import glob
import math
import multiprocessing
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from evolution.atomic_file import read_npz, remove_drafts, write_json, write_npz
from evolution.experiment import Experiment, advance, resume
from evolution.folder_lock import locked
from evolution.individual import Individual, pack, unpack
from evolution.interrupts import deferred_interrupts
from evolution.lockstep import Lockstep
from evolution.parts import parts, runs_of
from evolution.record import Record, is_finished
from evolution.said import SAID
from evolution.workers import Breeder


@dataclass(frozen=True)
class Search:
    """An experiment and where its result goes; calling it computes the result unless it is there already.

    Attributes:
        experiment: What to run.
        result: The JSON file to write; the champions' genomes go beside it as ``.npz``.
        work: Folder of the checkpoints, removed in the end.
        command: Command line that repeats it.
    """

    experiment: Experiment
    result: Path
    work: Path
    command: str = ""

    def __call__(self, breeder: Breeder | None = None) -> None:
        """Compute the result.

        Args:
            breeder: Who makes and evaluates the children; this process by default.

        Raises:
            ValueError: If a result or checkpoint of another experiment is in the way.
        """
        record = self.experiment.record()
        if is_finished(self.result, record):
            return
        torch.set_num_threads(1)  # the batches are small: a second thread costs more than it brings
        with locked(self.work):
            self._search(record, breeder)

    def _search(self, record: Record, breeder: Breeder | None) -> None:
        for written in self._files:
            remove_drafts(written.parent, glob.escape(written.name))
        saved = self.work / "checkpoint.npz"
        lockstep, _ = resume(self.experiment, saved)
        bar = tqdm(
            desc=f"{self.result.stem:8}",
            file=SAID,
            initial=lockstep.evaluations,
            unit="ev",
            position=line_of_this_process(),
            smoothing=0.05,
            mininterval=1,
            dynamic_ncols=True,
        )
        with bar, deferred_interrupts() as interrupted:
            for evaluations in advance(lockstep, saved, record, interrupted, breeder=breeder):
                show_progress(bar, lockstep, evaluations)
        self._write(lockstep)
        shutil.rmtree(self.work)

    @property
    def _files(self) -> tuple[Path, Path]:
        return self.result, self.result.with_suffix(".npz")

    def _write(self, lockstep: Lockstep) -> None:
        """Write the champions' genomes and, last, the JSON file that marks the result as there."""
        champions = {r.run: r.champion for r in lockstep.replicates if r.champion is not None}
        self.result.parent.mkdir(parents=True, exist_ok=True)
        write_npz(self._files[1], pack("champion", list(champions.values())))
        runs = [
            {
                "run": replicate.run,
                "solved_at": replicate.solved_at,
                "evaluations": replicate.evaluations,
                "best_fitness": best if math.isfinite(best := champions[replicate.run].fitness) else None,
            }
            for replicate in lockstep.replicates
        ]
        content = {"command": self.command, "record": self.experiment.record(), "runs": runs}
        write_json(self.result, content, indent=1)


def read_champions(path: Path) -> list[Individual]:
    """The champions beside a result file.

    Raises:
        ValueError: If the file is damaged, or has something else in it; the message names it.
    """
    arrays, _ = read_npz(path)
    try:
        # Those of earlier results do not say when they were born; they have no offspring any more.
        unknown = {"champion.born": np.zeros_like(arrays["champion.fitness"], dtype=np.int64)}
        return unpack("champion", unknown | arrays)
    except KeyError as missing:
        raise ValueError(
            f"expected the champions of a result in {path}, got a file without {missing}"
        ) from None


def solved_at(*files: Path) -> np.ndarray:
    """Evaluations (R,) after which each run of a result was solved; inf for those that never were.

    Args:
        files: All parts of the result.

    Raises:
        ValueError: If a file is damaged, or parts do not belong together; the message names them.
    """
    return np.array([run["solved_at"] or np.inf for run in runs_of(files)])


def finished(results: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """The runs of those results that are there, by name, all parts of each together; see ``solved_at``."""
    found = {name: parts(file) for name, file in results.items()}
    return {name: solved_at(*files) for name, files in found.items() if files}


def line_of_this_process() -> int:
    """On which line of the terminal it shows its progress, beside others that were started with it."""
    number = multiprocessing.current_process()._identity
    return number[-1] - 1 if number else 0  # (n,) in the n-th that another process has started


def show_progress(bar: tqdm, lockstep: Lockstep, evaluations: int) -> None:
    """Move the bar on; what solved runs no longer need does not count as work to do."""
    replicates = lockstep.replicates
    bar.total = sum(r.max_evaluations if r.active else r.evaluations for r in replicates)
    best = max(r.champion.fitness for r in replicates if r.champion)
    bar.set_postfix_str(f"best {best:.4g}, solved {lockstep.solved}/{len(replicates)}", refresh=False)
    bar.update(evaluations)
