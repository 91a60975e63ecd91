"""Independent replicates of a search, advanced together so that one batch serves several of them.

Each replicate stays exactly what it is alone. Replicates form groups: a step breeds one child in each
replicate of a group, the mutations in one batched call and the evaluations in another. Several steps may be
in the making at once, those of different groups and, with a lag, of the same one; they are told in the order
in which they were asked for, so that nothing depends on who computes them or how fast. A replicate that has
solved its task or spent its budget drops out.

The children of an algorithm that tells a whole brood together may be bred in several batches, too: those of a
step are put together again before they are told.

A step may also hold the next children of a replicate, bred from the parents that will be chosen if none of
the children before them changes the choice. That is nearly always so in a population of some size, and where
it is not, the children from there on are dropped: the search is the one that breeds one child at a time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import torch

from evolution.algorithm import AsksAhead
from evolution.breed import Birth, Brood, Operator, joined
from evolution.device import Device
from evolution.domain import Domain
from evolution.individual import State, part
from evolution.replicate import Replicate
from evolution.step import Step, pack_steps, unpack_steps
from evolution.workers import Breeder, Here


class Lockstep:
    """Replicates of one experiment.

    Args:
        domain: The task.
        operator: A mutation operator of ``safe_mutation``.
        replicates: What to advance.
        group: Replicates in one batch; all of them by default. If it is given, also the children in one batch
            of a large brood.
        lag: Steps of a group that may be in the making at once.
        guess: Children of a replicate in one step.
        device: Where genomes are kept; None for this processor.
    """

    def __init__(
        self,
        domain: Domain,
        operator: Operator,
        replicates: Sequence[Replicate],
        group: int | None = None,
        lag: int = 1,
        guess: int = 1,
        device: Device = None,
    ) -> None:
        self.domain = domain
        self.operator = operator
        self.replicates = list(replicates)
        self.lag = lag
        self.guess = guess
        self.device = device
        size = group or len(self.replicates)
        ahead = any(isinstance(replicate.algorithm, AsksAhead) for replicate in self.replicates)
        self._batch = None if ahead else group
        self._groups = [self.replicates[n : n + size] for n in range(0, len(self.replicates), size)]
        self._steps: deque[Step] = deque()  # in the making, in the order in which they are told

    @property
    def evaluations(self) -> int:
        """Evaluations of all replicates so far."""
        return sum(replicate.evaluations for replicate in self.replicates)

    @property
    def solved(self) -> int:
        """How many replicates have solved the task."""
        return sum(replicate.solved_at is not None for replicate in self.replicates)

    def run(self, breeder: Breeder | None = None) -> Iterator[int]:
        """Advance all replicates to their end.

        Args:
            breeder: Who makes and evaluates the children; this process by default.

        Yields:
            The number of children told in each step.
        """
        breeder = breeder or Here(self.domain, self.operator, self.device)
        for step in self._steps:  # of a checkpoint
            self._submit(step, breeder)
        for group in range(len(self._groups)):
            self._fill(group, breeder)
        while self._steps:
            step = self._steps[0]
            brood = joined([breeder.result(task) for task in step.tasks])
            self._steps.popleft()
            if told := self._tell(step, brood):
                yield told
            self._fill(step.group, breeder)

    def state(self) -> State:
        """The states of all replicates, and the steps in the making."""
        states = {
            f"{replicate.run}.{name}": array
            for replicate in self.replicates
            for name, array in replicate.state().items()
        }
        return states | pack_steps("steps", self._steps, self.replicates)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state.

        Raises:
            ValueError: If its genomes are not those of the domain's network.
        """
        for replicate in self.replicates:
            replicate.load(part(str(replicate.run), state))
            for individual in replicate.algorithm.population:
                if individual.genome.shape != (self.domain.network.num_params,):
                    raise ValueError(
                        f"expected genomes of shape ({self.domain.network.num_params},), "
                        f"got {individual.genome.shape}"
                    )
                if self.device is not None:
                    individual.genome = torch.as_tensor(individual.genome, device=self.device)
                    if individual.sensitivity is not None:
                        individual.sensitivity = torch.as_tensor(individual.sensitivity, device=self.device)
        self._steps = deque(unpack_steps("steps", state, self.replicates))

    def _fill(self, group: int, breeder: Breeder) -> None:
        """Hand out steps of a group until as many are in the making as may be."""
        while sum(step.group == group for step in self._steps) < self.lag:
            if (step := self._next(group)) is None:
                return
            self._submit(step, breeder)
            self._steps.append(step)

    def _submit(self, step: Step, breeder: Breeder) -> None:
        """Hand out a step in batches; founders, which are drawn together, are one."""
        size = self._batch
        if size is None or step.births[0].parent is None:
            size = len(step.births)
        batches = [step.births[n : n + size] for n in range(0, len(step.births), size)]
        step.tasks = [breeder.submit(batch) for batch in batches]

    def _next(self, group: int) -> Step | None:
        """The next step of a group; None if it has to wait for others, or has come to its end."""
        ahead = Counter(birth.run for step in self._steps if step.group == group for birth in step.births)
        reached = {r.run: r.evaluations + ahead[r.run] for r in self._groups[group]}
        searching = [r for r in self._groups[group] if r.active and reached[r.run] < r.max_evaluations]
        # Those behind come first, so that a search goes on from a checkpoint in the same order.
        behind = min((reached[replicate.run] for replicate in searching), default=0)
        asked = [r.births(ahead[r.run]) for r in searching if reached[r.run] == behind]
        large = [births for births in asked if len(births) > 1]
        chosen = large[:1] or asked  # a large brood is a batch of its own
        if not chosen or not all(chosen):
            return None
        if self.guess > 1 and not large:
            chosen = [births for replicate in searching for births in self._guessed(replicate)]
        return Step.of(group, [birth for births in chosen for birth in births])

    def _guessed(self, replicate: Replicate) -> list[list[Birth]]:
        """The next births of a replicate, each as if those before it changed nothing."""
        number = min(self.guess, replicate.max_evaluations - replicate.evaluations)
        return [replicate.births(ahead) for ahead in range(number)]

    def _tell(self, step: Step, brood: Brood) -> int:
        step.keep(brood.sensitivities)
        told, rows = 0, zip(step.births, step.parents, brood.children, strict=True)
        replicates = {replicate.run: replicate for replicate in self._groups[step.group]}
        for run, own in groupby(rows, key=lambda row: row[0].run):
            replicate = replicates[run]
            births, parents, children = map(list, zip(*own, strict=True))
            if not replicate.active:  # its children in the making have become superfluous
                continue
            if self.guess > 1 and parents[0] is not None:
                told += replicate.tell_guessed(births, parents, children)
            else:
                replicate.tell(children)
                told += len(children)
        return told
