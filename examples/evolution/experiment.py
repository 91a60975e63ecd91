"""Run replicates of one experiment so that they survive being killed.

``Experiment`` names everything that decides the outcome. ``advance`` runs it to the end and saves a
checkpoint every so often; killed at any moment and started again, it ends with the same result.
"""

from __future__ import annotations

import dataclasses
import platform
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evolution import checkpoint
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.domains.registry import DOMAINS, VARIANTS, Task
from evolution.lockstep import Lockstep
from paper.table_s2 import TABLE_S2
from safe_mutation import make

CHECKPOINT_INTERVAL = 60.0  # seconds
NO_SETTINGS = ("network", "experiences", "mask", "chunk_size")  # of an operator: these change no outcome here
PACKAGES = ("gym-safemaze", "safe-mutation", "torch", "numpy", "numba", "gymnasium")


@dataclass(frozen=True)
class Experiment:
    """Replicates of the GA in one domain with one operator.

    Attributes:
        domain: Name in ``domains.DOMAINS``; decides the GA's settings (table S2).
        operator: The paper's name of an operator.
        seed: With it every number of the experiment is decided, up to the arithmetic of the machine.
        runs: Replicates.
        max_evaluations: Budget of each.
        intensity: Sigma, or divergence for SM-R; None for the one of table S1.
        options: Further arguments of the operator.
        removal: Whom a child replaces, see ``SteadyStateGA``.
        variant: Name in ``domains.VARIANTS`` of another form of the domain.
    """

    domain: str
    operator: str
    seed: int
    runs: int
    max_evaluations: int
    intensity: float | None = None
    options: tuple[tuple[str, Any], ...] = ()
    removal: str = "same"
    variant: str | None = None

    def lockstep(self) -> Lockstep:
        """The replicates, before their first evaluation."""
        task = self._task()
        table = TABLE_S2[self.domain]
        gas = [
            SteadyStateGA(table.population_size, table.tournament_size, self.seed, run, self.removal)
            for run in range(self.runs)
        ]
        return Lockstep(task.domain, self._operator(task.network), gas, self.max_evaluations)

    def settings(self) -> dict[str, Any]:
        """All that the outcome depends on, for the record."""
        operator = self._operator(self._task().network)
        numbers = {
            field.name: getattr(operator, field.name)
            for field in dataclasses.fields(operator)
            if field.name not in NO_SETTINGS
        }
        table = TABLE_S2[self.domain]
        return {
            "domain": self.domain,
            "operator": self.operator,
            "operator_settings": numbers,
            "seed": self.seed,
            "runs": self.runs,
            "max_evaluations": self.max_evaluations,
            "population_size": table.population_size,
            "tournament_size": table.tournament_size,
            "removal": self.removal,
            "variant": self.variant,
            "versions": versions(),
        }

    def _task(self) -> Task:
        return VARIANTS[self.variant]() if self.variant else DOMAINS[self.domain]()

    def _operator(self, network: Any) -> Any:
        return make(
            self.operator, network, domain=self.domain, intensity=self.intensity, **dict(self.options)
        )


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def advance(lockstep: Lockstep, saved: Path, settings: dict[str, Any]) -> Generator[int]:
    """Run to the end, saving checkpoints; yields the number of evaluations of each step.

    Ctrl-C takes effect between two steps, after a last checkpoint.
    """
    last_save = time.monotonic()
    with deferred_interrupt() as interrupted:
        for evaluations in lockstep.run():
            yield evaluations
            if interrupted or time.monotonic() - last_save > CHECKPOINT_INTERVAL:
                checkpoint.save(saved, lockstep, settings)
                last_save = time.monotonic()
            if interrupted:
                raise KeyboardInterrupt
    checkpoint.save(saved, lockstep, settings)


@contextmanager
def deferred_interrupt() -> Iterator[list[int]]:
    """Collect interrupts instead of raising them: a step is done whole or not at all."""
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
