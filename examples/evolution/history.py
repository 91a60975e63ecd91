"""history.jsonl: how the runs of a search went, a line for each run every so many evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evolution.atomic_file import write_atomically
from evolution.lockstep import Lockstep, Replicate

INTERVAL = 250  # evaluations between two lines of a run


class History:
    """The lines of a search: for each run one every so many evaluations and one when it is solved.

    Args:
        path: The file. What a search that goes on has written there after its last checkpoint is removed:
            it will be written again.
        lockstep: The search.
    """

    def __init__(self, path: Path, lockstep: Lockstep) -> None:
        self._logged = {replicate.run: replicate.evaluations for replicate in lockstep.replicates}
        kept = self._committed_lines(path) if path.exists() else []
        write_atomically(path, "".join(kept).encode())
        self._file = open(path, "a", buffering=1)  # noqa: SIM115  (closed by close)

    def _committed_lines(self, path: Path) -> list[str]:
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        entries = [json.loads(line) for line in lines]
        return [
            line
            for line, entry in zip(lines, entries, strict=True)
            if entry["evaluations"] <= self._logged[entry["run"]]
        ]

    def log(self, lockstep: Lockstep) -> None:
        """Write the lines that are due."""
        for replicate in lockstep.replicates:
            last, now = self._logged[replicate.run], replicate.evaluations
            if (replicate.solved_at == now and last != now) or now // INTERVAL > last // INTERVAL:
                self._logged[replicate.run] = now
                self._file.write(json.dumps(entry(replicate)) + "\n")

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()


def entry(replicate: Replicate) -> dict[str, Any]:
    """One line of the history."""
    fitness = [individual.fitness for individual in replicate.algorithm.population]
    return {
        "run": replicate.run,
        "evaluations": replicate.evaluations,
        "best_fitness": max(fitness),
        "mean_fitness": sum(fitness) / len(fitness),
        "solved": replicate.solved_at is not None,
    }
