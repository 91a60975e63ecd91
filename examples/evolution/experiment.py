"""Everything that decides the outcome of a search, and running it so that it survives being killed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evolution import checkpoint
from evolution.algorithm import Algorithm, AsksAhead, ScalesDivergence
from evolution.breed import Operator
from evolution.device import Device, card
from evolution.domain import Domain
from evolution.individual import State, part
from evolution.lockstep import Lockstep
from evolution.randomness import SEEDS
from evolution.record import MACHINE, Record, describe, lasting, machine, versions
from evolution.replicate import Replicate
from evolution.workers import Breeder

CHECKPOINT_INTERVAL = 60.0  # seconds
QUICK = (
    3.0  # seconds: what takes longer to write, gigabytes of large networks, is written as much more rarely
)


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
        group: Replicates that are bred and evaluated in one batch; by default all of them. If it is given, it
            is also the size of the batches that the brood of a generational algorithm is bred in, which else
            is one. The sums of a batch are rounded in float32, so that its size is a part of what an
            experiment is.
        lag: Children of a replicate that may be in the making at once: child i is bred when child i - lag
            has taken its place. 1 is the paper's algorithm.
        guess: Children of a replicate bred in one batch, on the guess that none of them decides who is the
            parent of the next; where one does, the following are bred again. The search is that of 1, but for
            the rounding.
        device: Where torch computes mutations and networks; by default networks are compiled for this
            processor. Noise is drawn there, so that other devices give other numbers.
        first: Number of the first replicate, which decides random numbers: the replicates from 10 on are
            those of a larger experiment.
    """

    domain: Domain
    operator: Operator
    algorithm: Algorithm
    seed: int
    runs: int
    max_evaluations: int
    stop_when_solved: bool = True
    group: int | None = None
    lag: int = 1
    guess: int = 1
    device: Device = None
    first: int = 0

    def __post_init__(self) -> None:
        for name in ("runs", "group", "lag", "guess"):
            value = getattr(self, name)
            if value is None and name == "group":
                continue
            if not isinstance(value, int):
                raise ValueError(f"expected {name} to be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"expected {name} to be at least 1, got {value}")
        if not (isinstance(self.first, int) and self.first >= 0):
            raise ValueError(f"expected first to be at least 0, got {self.first!r}")
        if not (isinstance(self.seed, int) and 0 <= self.seed < SEEDS):
            raise ValueError(f"expected a seed from 0 to 2**63 - 1, got {self.seed!r}")
        if self.lag > 1 and not isinstance(self.algorithm, AsksAhead):
            raise ValueError(
                f"expected a lag of 1 for {self.algorithm.name}, which tells all children before it chooses "
                f"new parents, got {self.lag}"
            )
        if self.lag > 1 and isinstance(self.algorithm, ScalesDivergence):
            raise ValueError(
                f"expected a lag of 1 for {self.algorithm.name}, which compares each child with its parent "
                f"and knows no other than the last one asked for, got {self.lag}"
            )
        divergence = getattr(self.operator, "divergence", None)
        if isinstance(self.algorithm, ScalesDivergence) and not isinstance(divergence, float):
            raise ValueError(
                f"expected an operator with one divergence for {self.algorithm.name}, which scales it, "
                f"got divergence={divergence!r}"
            )
        if self.guess > 1 and (self.lag > 1 or not isinstance(self.algorithm, AsksAhead)):
            raise ValueError(
                f"expected a guess of 1 with a lag and for algorithms that choose parents together, "
                f"got {self.guess} with {self.algorithm.name} and a lag of {self.lag}"
            )
        if self.device is not None and not self.domain.on_devices:
            raise ValueError(
                f"expected no device for {self.domain.name}, whose networks are compiled for the processor, "
                f"got {self.device}"
            )
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
            for run in range(self.first, self.first + self.runs)
        ]
        return Lockstep(self.domain, self.operator, replicates, self.group, self.lag, self.guess, self.device)

    def record(self) -> Record:
        """All that the outcome depends on.

        Raises:
            ValueError: If something of it has a repr that is another in every process.
        """
        algorithm = describe(self.algorithm)
        more: Record = {} if self.guess == 1 else {"guess": self.guess}
        more |= {"first": self.first} if self.first else {}
        if self.group is not None and not isinstance(self.algorithm, AsksAhead):
            more["batch"] = self.group
        more |= {} if self.device is None else {"device": self.device.type}
        return {
            "domain": describe(self.domain) | {"network": lasting(self.domain.network)},
            "operator": describe(self.operator),
            "algorithm": {name: algorithm[name] for name in algorithm if name not in ("seed", "run")},
            "seed": self.seed,
            "runs": self.runs,
            "max_evaluations": self.max_evaluations,
            "stop_when_solved": self.stop_when_solved,
            "group": self.group or self.runs,
            "lag": self.lag,
            **more,
            "versions": versions(),
            MACHINE: machine() + card(self.device),
        }

    def _algorithm(self, run: int) -> Algorithm:
        return dataclasses.replace(self.algorithm, seed=self.seed, run=run)  # type: ignore[type-var]


def resume(experiment: Experiment, saved: Path) -> tuple[Lockstep, State]:
    """The replicates as their last checkpoint has them, or before their first evaluation.

    Returns:
        The replicates, and the state of the history beside them; empty before the first checkpoint.

    Raises:
        ValueError: If the checkpoint belongs to another experiment; the message names the difference.
    """

    def load(state: Mapping[str, np.ndarray]) -> tuple[Lockstep, State]:
        lockstep = experiment.lockstep()
        lockstep.load(state)
        return lockstep, part("history", state)

    return checkpoint.restore(saved, experiment.record(), load) or (experiment.lockstep(), {})


def advance(
    lockstep: Lockstep,
    saved: Path,
    record: Record,
    interrupted: Callable[[], bool] = lambda: False,
    history: Callable[[], State] = dict,
    breeder: Breeder | None = None,
) -> Generator[int]:
    """Run to the end, saving checkpoints; yields the number of evaluations of each step.

    However it ends, also by ``close``, the last thing it does is to write a checkpoint.

    Args:
        lockstep: What to run.
        saved: The checkpoint.
        record: Of the experiment.
        interrupted: Whether to stop.
        history: The state of what is kept beside the replicates.
        breeder: Who makes and evaluates the children; this process by default.

    Raises:
        KeyboardInterrupt: When ``interrupted`` says so, between two steps and after a last checkpoint.
    """

    def save() -> None:
        try:
            beside = {f"history.{name}": array for name, array in history().items()}
        except OSError as error:
            checkpoint.report(error)
        else:
            saver.save(lockstep.state() | beside)

    last_save = time.monotonic()
    with closing(checkpoint.Saver(saved, record)) as saver:
        try:
            for evaluations in lockstep.run(breeder):
                yield evaluations
                if interrupted():
                    raise KeyboardInterrupt
                if time.monotonic() - last_save > CHECKPOINT_INTERVAL * max(1, saver.seconds / QUICK):
                    save()
                    last_save = time.monotonic()
        finally:
            save()
