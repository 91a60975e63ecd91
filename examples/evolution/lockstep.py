"""Independent replicates of a search, advanced together so that one batch serves them all.

Each replicate stays exactly what it is alone: every step breeds one child in each, but the
mutations are one batched call and the evaluations another. A replicate that has solved its task or
spent its budget drops out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evolution.algorithm import Algorithm
from evolution.breed import Birth, Operator, breed
from evolution.domain import Domain
from evolution.individual import Individual, State, pack, part, unpack


@dataclass
class Replicate:
    """One run of an algorithm and what came of it so far.

    Attributes:
        algorithm: The algorithm.
        max_evaluations: Its budget, the founders included.
        stop_when_solved: Whether its first solution is its end.
        evaluations: Children told so far.
        solved_at: The evaluation that solved the task first, counted from 1, or None.
        champion: The best individual so far.
    """

    algorithm: Algorithm
    max_evaluations: int
    stop_when_solved: bool = True
    evaluations: int = 0
    solved_at: int | None = None
    champion: Individual | None = None

    @property
    def run(self) -> int:
        """Its number."""
        return self.algorithm.run

    @property
    def active(self) -> bool:
        """Whether it still searches."""
        over = self.stop_when_solved and self.solved_at is not None
        return not over and self.evaluations < self.max_evaluations

    def births(self) -> list[Birth]:
        """What to breed next."""
        parents = self.algorithm.ask()
        seed, run = self.algorithm.seed, self.algorithm.run
        return [Birth(parent, seed, run, self.evaluations + n) for n, parent in enumerate(parents)]

    def tell(self, children: list[Individual]) -> None:
        """Count the children up to the one that solves the task, and hand all of them on."""
        self.algorithm.tell(children)
        for child in children:
            if not self.active:
                break
            self.evaluations += 1
            if child.better_than(self.champion):
                self.champion = child
            if child.solved and self.solved_at is None:
                self.solved_at = self.evaluations

    def state(self) -> State:
        """Everything that changes, as arrays; a finished replicate needs no population any more."""
        champion = [] if self.champion is None else [self.champion]
        counts = {"evaluations": np.array(self.evaluations), "solved_at": np.array(self.solved_at or 0)}
        algorithm = self.algorithm.state() if self.active else {}
        return counts | pack("champion", champion) | {f"algorithm.{k}": v for k, v in algorithm.items()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state."""
        self.evaluations = int(state["evaluations"])
        self.solved_at = int(state["solved_at"]) or None
        self.champion = next(iter(unpack("champion", state)), None)
        if self.active:
            self.algorithm.load(part("algorithm", state))


class Lockstep:
    """Replicates of one experiment.

    Args:
        domain: The task.
        operator: A mutation operator of ``safe_mutation``.
        replicates: What to advance.
    """

    def __init__(self, domain: Domain, operator: Operator, replicates: Sequence[Replicate]) -> None:
        self.domain = domain
        self.operator = operator
        self.replicates = list(replicates)

    @property
    def evaluations(self) -> int:
        """Evaluations of all replicates so far."""
        return sum(replicate.evaluations for replicate in self.replicates)

    @property
    def solved(self) -> int:
        """How many replicates have solved the task."""
        return sum(replicate.solved_at is not None for replicate in self.replicates)

    def run(self) -> Iterator[int]:
        """Advance all replicates to their end, yielding the number of children evaluated in each step."""
        while active := [replicate for replicate in self.replicates if replicate.active]:
            # Those behind come first, so that a search goes on from a checkpoint in the same order.
            evaluations = min(replicate.evaluations for replicate in active)
            asked = [(r, r.births()) for r in active if r.evaluations == evaluations]
            large = [(replicate, births) for replicate, births in asked if len(births) > 1]
            yield self._breed(large[:1] or asked)  # a large brood is a batch of its own

    def state(self) -> State:
        """The states of all replicates."""
        return {
            f"{replicate.run}.{name}": array
            for replicate in self.replicates
            for name, array in replicate.state().items()
        }

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

    def _breed(self, asked: list[tuple[Replicate, list[Birth]]]) -> int:
        births = [birth for _, some in asked for birth in some]
        brood = breed(self.domain, self.operator, births)
        for birth, sensitivity in zip(births, brood.sensitivities, strict=True):
            if birth.parent is not None:
                birth.parent.sensitivity = sensitivity
        children = iter(brood.children)
        for replicate, some in asked:
            replicate.tell([next(children) for _ in some])
        return len(births)
