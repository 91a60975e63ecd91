"""history.jsonl: how the runs of a search went, a line for each run every so many evaluations."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evolution.individual import State
from evolution.lockstep import Lockstep
from evolution.replicate import Replicate
from evolution.said import SAID

INTERVAL = 250  # evaluations between two lines of a run
Listener = Callable[[dict[str, Any]], None]
"""Called with each line of the history, as a dict, when it is written."""


class History:
    """The lines of a search: for each run one every so many evaluations and one when it is solved.

    A checkpoint has the length and the SHA-256 of what was written before it. A search that goes on checks
    the file against them, and removes what was written later: it will be written again.

    Args:
        path: The file.
        lockstep: The search.
        state: The part of a checkpoint that ``state`` gave; None for a search that begins.
        listeners: Who else is told.

    Raises:
        ValueError: If the file is not the one that the checkpoint knows; the message names it.
    """

    def __init__(
        self,
        path: Path,
        lockstep: Lockstep,
        state: Mapping[str, np.ndarray] | None = None,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.path = path
        self.listeners = listeners
        self._logged = {replicate.run: replicate.evaluations for replicate in lockstep.replicates}
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._length = int(state["length"]) if state else 0
        self._digest = hashlib.sha256(os.pread(self._file, self._length, 0))
        if state and self._digest.digest() != state["sha256"].tobytes():
            os.close(self._file)
            raise ValueError(
                f"{path} is damaged: its first {self._length} bytes are not those that the checkpoint knows; "
                "use another folder"
            )
        os.ftruncate(self._file, self._length)
        self._waiting = b""  # lines that a full disk did not take

    def log(self, lockstep: Lockstep) -> None:
        """Write the lines that are due."""
        lines: list[dict[str, Any]] = []
        for replicate in lockstep.replicates:
            last, now = self._logged[replicate.run], replicate.evaluations
            solved = last < (replicate.solved_at or 0) <= now
            if solved or now // INTERVAL > last // INTERVAL:
                self._logged[replicate.run] = now
                lines.append(entry(replicate))
                self._waiting += (json.dumps(lines[-1]) + "\n").encode()
        if self._waiting:
            self._write()
        for line in lines:  # last: a listener that fails loses no line
            for listener in self.listeners:
                listener(line)

    def state(self) -> State:
        """What a checkpoint has to know of the file.

        Raises:
            OSError: If there are lines that the disk does not take.
        """
        if self._waiting:
            self._write(report=False)
        os.fsync(self._file)
        digest = np.frombuffer(self._digest.digest(), dtype=np.uint8)
        return {"length": np.array(self._length), "sha256": digest}

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, report: bool = True) -> None:
        try:
            while self._waiting:
                written = os.pwrite(self._file, self._waiting, self._length)
                self._digest.update(self._waiting[:written])
                self._length += written
                self._waiting = self._waiting[written:]
        except OSError as error:
            if not report:
                raise OSError(error.errno, error.strerror, str(self.path)) from error
            print(f"{self.path}: {error.strerror}; its lines wait in memory", file=SAID)


def entry(replicate: Replicate) -> dict[str, Any]:
    """One line of the history."""
    known = (individual.fitness for individual in replicate.algorithm.population)
    fitness = [value for value in known if math.isfinite(value)]  # JSON has no other numbers
    return {
        "run": replicate.run,
        "evaluations": replicate.evaluations,
        "best_fitness": max(fitness, default=None),
        "mean_fitness": sum(fitness) / len(fitness) if fitness else None,
        "solved": replicate.solved_at is not None,
    }
