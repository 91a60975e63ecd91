"""Independent replicates of the GA, advanced together so that one batch serves them all.

Each replicate stays an exact steady-state GA: every step breeds one child in each, but the
mutations are one batched call and the evaluations another. A replicate that has solved its task or
spent its budget drops out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evolution.algorithms.steady_state_ga import Individual, SteadyStateGA
from evolution.domains.breadcrumb_hard_maze import Evaluation
from evolution.randomness import Purpose, stream
from safe_mutation import DivergenceNotReached, SMGAbs, SMGSum

Operator = Callable[..., np.ndarray]  # one of safe_mutation's, or any callable with their keywords

MAX_EXPERIENCES = 100  # of each individual, drawn without replacement when it is evaluated


@dataclass(frozen=True)
class Domain:
    """A task to evolve for.

    Attributes:
        name: As on the command line.
        initial_genomes: ``(number, generator) -> (number, P)``.
        evaluate: Genomes (N, P) -> their Evaluation.
    """

    name: str
    initial_genomes: Callable[[int, np.random.Generator], np.ndarray]
    evaluate: Callable[[np.ndarray], Evaluation]


class Lockstep:
    """Replicates of one experiment.

    Args:
        domain: The task.
        operator: A mutation operator of ``safe_mutation``.
        gas: One GA per replicate, all of the same seed.
        max_evaluations: Budget of each replicate, the initial population included.

    Attributes:
        solved_at: For each replicate the evaluation that solved the task, counted from 1, or None.
    """

    def __init__(
        self, domain: Domain, operator: Operator, gas: list[SteadyStateGA], max_evaluations: int
    ) -> None:
        if max_evaluations < gas[0].population_size:
            raise ValueError(
                f"expected a budget of at least the initial population, {gas[0].population_size} "
                f"evaluations, got {max_evaluations}"
            )
        self.domain = domain
        self.operator = operator
        self.gas = gas
        self.max_evaluations = max_evaluations
        self.solved_at: list[int | None] = [None] * len(gas)

    @property
    def active(self) -> list[SteadyStateGA]:
        """The replicates that still search."""
        return [
            ga
            for ga, solved_at in zip(self.gas, self.solved_at, strict=True)
            if solved_at is None and ga.evaluations < self.max_evaluations
        ]

    def run(self) -> Iterator[int]:
        """Advance all replicates to their end, yielding the number of children evaluated in each step."""
        for ga in self.active:
            if not ga.population:
                yield self._found(ga)
        while active := self.active:
            self._breed(active)
            yield len(active)

    def _found(self, ga: SteadyStateGA) -> int:
        """Evaluate the initial population of one replicate."""
        genesis = stream(ga.seed, ga.run, 0, Purpose.GENESIS)
        genomes = self.domain.initial_genomes(ga.population_size, genesis)
        self._commit([ga] * len(genomes), range(len(genomes)), genomes)
        return len(genomes)

    def _breed(self, gas: list[SteadyStateGA]) -> None:
        """One child in each of the replicates."""
        parents = [ga.ask() for ga in gas]
        indices = [ga.evaluations for ga in gas]
        noise = [
            stream(ga.seed, ga.run, index, Purpose.MUTATION) for ga, index in zip(gas, indices, strict=True)
        ]
        self._commit(gas, indices, mutate(self.operator, parents, noise))

    def _commit(self, gas: list[SteadyStateGA], indices: list[int] | range, genomes: np.ndarray) -> None:
        """Evaluate genomes (N, P) and tell each to its replicate."""
        evaluation = self.domain.evaluate(genomes)
        for lane, (ga, index) in enumerate(zip(gas, indices, strict=True)):
            experiences = evaluation.experiences[lane]
            if len(experiences) > MAX_EXPERIENCES:
                chance = stream(ga.seed, ga.run, index, Purpose.EXPERIENCES)
                experiences = experiences[chance.choice(len(experiences), MAX_EXPERIENCES, replace=False)]
            solved = bool(evaluation.solved[lane])
            if self.solved_at[ga.run] is None:
                ga.tell(
                    Individual(genomes[lane].copy(), float(evaluation.fitness[lane]), solved, experiences)
                )
                if solved:
                    self.solved_at[ga.run] = ga.evaluations


def mutate(operator: Operator, parents: list[Individual], noise: list[np.random.Generator]) -> np.ndarray:
    """Children (N, P) of N parents, each from its own noise.

    Tournaments pick the same parents again and again, so sensitivities that do not depend on the
    perturbation are kept with the parent.
    """
    genomes = np.stack([parent.genome for parent in parents])
    if not isinstance(operator, SMGAbs | SMGSum):
        experiences = np.stack([parent.experiences for parent in parents])
        with warnings.catch_warnings():
            # SM-R cannot move a saturated parent as far as it should; its child is evaluated all the same.
            warnings.simplefilter("ignore", DivergenceNotReached)
            return operator(genomes, experiences=experiences, per_parent=True, generator=noise)
    new = [lane for lane, parent in enumerate(parents) if parent.sensitivity is None]
    if new:
        experiences = np.stack([parents[lane].experiences for lane in new])
        computed = operator.sensitivity(genomes[new], experiences=experiences, per_parent=True)
        for lane, sensitivity in zip(new, computed, strict=True):
            parents[lane].sensitivity = sensitivity.copy()
    sensitivities = np.stack([p.sensitivity for p in parents if p.sensitivity is not None])
    return operator(genomes, sensitivity=sensitivities, generator=noise)
