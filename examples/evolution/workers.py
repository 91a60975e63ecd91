"""Who breeds: this process, or the workers of a crew. The children are the same."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Protocol

import cloudpickle
import torch

from evolution.breed import Birth, Brood, Operator, breed, travelling
from evolution.crew import Crew, Task
from evolution.device import Device, on_host
from evolution.domain import Domain

TIME_LIMIT = 600.0  # seconds that a task may take, the start of its worker included


class Breeder(Protocol):
    """Makes and evaluates children; several broods may be on their way."""

    def submit(self, births: Sequence[Birth]) -> Any:
        """Hand out births, to be asked for in the same order."""

    def result(self, task: Any) -> Brood:
        """Wait for what came of them."""


class Here:
    """Breeds in this process, when asked for the result.

    Args:
        domain: The task to evolve for.
        operator: The mutation.
        device: Where mutations and networks are computed; None for this processor and compiled networks.
    """

    def __init__(self, domain: Domain, operator: Operator, device: Device = None) -> None:
        self.domain = domain
        self.operator = operator
        self.device = device

    def submit(self, births: Sequence[Birth]) -> Sequence[Birth]:
        """Hand out births."""
        return births

    def result(self, task: Sequence[Birth]) -> Brood:
        """Breed them."""
        return breed(self.domain, self.operator, task, self.device)


class Workers:
    """Breeds in the workers of an executor. Domain and operator are sent to each of them once.

    Args:
        domain: The task to evolve for.
        operator: The mutation.
        executor: Any ``concurrent.futures.Executor``, or a function that starts one (see ``Crew``).
        time_limit: Seconds that a task may take, the start of its worker included; None for any time.
        device: Where each worker computes mutations and networks; genomes travel as arrays.
    """

    def __init__(
        self,
        domain: Domain,
        operator: Operator,
        executor: Executor | Callable[[], Executor],
        time_limit: float | None = TIME_LIMIT,
        device: Device = None,
    ) -> None:
        self._operator = operator
        self._work = _pickled((domain, operator, device))
        self._key = hashlib.sha256(self._work).hexdigest()
        self._crew = Crew(executor, time_limit)
        self._new = 1  # workers that may still have to be sent domain and operator

    def submit(self, births: Sequence[Birth]) -> Task:
        """Hand out births, as they are now."""
        runs = ", ".join(str(run) for run in sorted({birth.run for birth in births}))
        name = f"evaluation {births[0].index + 1} of run {runs}"
        work = self._work if self._new else None
        self._new = max(0, self._new - 1)
        return self._crew.submit(name, breed_sent, self._key, work, pickle.dumps(self._parcel(births)))

    def result(self, task: Task) -> Brood:
        """Wait for what came of them.

        Raises:
            ValueError: If the evaluation or the mutation raised one.
            OSError: If the evaluation or the mutation raised one.
            TaskFailed: If they raised any other exception, or the task was lost too often; it is named.
        """
        answer = self._crew.result(task)
        if answer is None:  # a worker that has not met this experiment yet
            # Another may take the task now. This one is idle and takes the next new one: that brings the work
            # along, too, or else each would be handed back and the others breed everything.
            self._new += 1
            key, _, births = task.arguments
            answer = self._crew.result(self._crew.submit(task.name, breed_sent, key, self._work, births))
        brood: Brood = answer
        return brood

    def close(self) -> None:
        """Drop what is on its way, and end the executor if it is ours."""
        self._crew.close()

    def _parcel(self, births: Sequence[Birth]) -> list[Birth]:
        return [
            birth if birth.parent is None else replace(birth, parent=travelling(self._operator, birth.parent))
            for birth in births
        ]


Work = tuple[Domain, Operator, Device]


def _pickled(work: Work) -> bytes:
    """What a script defines goes by value, or else by name: spawned processes import the script."""
    try:
        return bytes(cloudpickle.dumps(work))
    except TypeError:  # a class with a cached_property, before Python 3.12
        return pickle.dumps(work)


_sent: dict[str, Work] = {}  # what this process has been sent, by its SHA-256


def breed_sent(key: str, work: bytes | None, births: bytes) -> Brood | None:
    """Breed in a worker; None if it does not have domain and operator, and they were not sent along."""
    if key not in _sent:
        if work is None:
            return None
        torch.set_num_threads(1)  # as many workers as cores
        _sent[key] = pickle.loads(work)
    domain, operator, device = _sent[key]
    brood = breed(domain, operator, pickle.loads(births), device)
    return Brood([child.on_host() for child in brood.children], [on_host(one) for one in brood.sensitivities])
