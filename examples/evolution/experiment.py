"""Everything that decides the outcome of a search, and running it so that it survives being killed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from evolution import checkpoint
from evolution.algorithm import Algorithm
from evolution.breed import Operator
from evolution.domain import Domain
from evolution.lockstep import Lockstep, Replicate
from evolution.record import MACHINE, Record, describe, machine, versions

CHECKPOINT_INTERVAL = 60.0  # seconds


@dataclass(frozen=True)
class Experiment:
    """Replicates of one algorithm in one domain with one operator.

    Attributes:
        domain: The task.
        operator: A mutation operator.
        algorithm: The algorithm and its settings; every replicate gets a fresh one of its own.
        seed: With it every number of the experiment is decided, up to the arithmetic of the machine.
        runs: Replicates.
        max_evaluations: Budget of each, the founders included.
        stop_when_solved: Whether a replicate ends with its first solution.
    """

    domain: Domain
    operator: Operator
    algorithm: Algorithm
    seed: int
    runs: int
    max_evaluations: int
    stop_when_solved: bool = True

    def __post_init__(self) -> None:
        founders = len(self._algorithm(run=0).ask())
        if self.max_evaluations < founders:
            raise ValueError(
                f"expected a budget of at least the initial population, {founders} evaluations, "
                f"got {self.max_evaluations}"
            )

    def lockstep(self) -> Lockstep:
        """The replicates, before their first evaluation."""
        replicates = [
            Replicate(self._algorithm(run), self.max_evaluations, self.stop_when_solved)
            for run in range(self.runs)
        ]
        return Lockstep(self.domain, self.operator, replicates)

    def record(self) -> Record:
        """All that the outcome depends on."""
        algorithm = describe(self.algorithm)
        return {
            "domain": describe(self.domain) | {"network": repr(self.domain.network)},
            "operator": describe(self.operator),
            "algorithm": {name: algorithm[name] for name in algorithm if name not in ("seed", "run")},
            "seed": self.seed,
            "runs": self.runs,
            "max_evaluations": self.max_evaluations,
            "stop_when_solved": self.stop_when_solved,
            "versions": versions(),
            MACHINE: machine(),
        }

    def _algorithm(self, run: int) -> Algorithm:
        return dataclasses.replace(self.algorithm, seed=self.seed, run=run)  # type: ignore[type-var]


def resume(experiment: Experiment, saved: Path) -> Lockstep:
    """The replicates as their last checkpoint has them, or before their first evaluation.

    Raises:
        ValueError: If the checkpoint belongs to another experiment; the message names the difference.
    """
    lockstep = experiment.lockstep()
    if (state := checkpoint.restore(saved, experiment.record())) is not None:
        lockstep.load(state)
    return lockstep


def advance(
    lockstep: Lockstep, saved: Path, record: Record, interrupted: Callable[[], bool] = lambda: False
) -> Generator[int]:
    """Run to the end, saving checkpoints; yields the number of evaluations of each step.

    Raises:
        KeyboardInterrupt: When ``interrupted`` says so, between two steps and after a last checkpoint.
    """
    last_save = time.monotonic()
    for evaluations in lockstep.run():
        yield evaluations
        if interrupted() or time.monotonic() - last_save > CHECKPOINT_INTERVAL:
            checkpoint.save(saved, lockstep.state(), record)
            last_save = time.monotonic()
        if interrupted():
            raise KeyboardInterrupt
    checkpoint.save(saved, lockstep.state(), record)
