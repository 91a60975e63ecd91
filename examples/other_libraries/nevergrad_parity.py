"""Nevergrad's evolution strategy learns parity with its Gaussian mutation, and with the safe one.

    pip install ./safe_mutation nevergrad==1.0.12
    python examples/other_libraries/nevergrad_parity.py

Of Nevergrad's optimisers only EvolutionStrategy mutates by the method that SafeArray overrides.
"""

import nevergrad as ng
import numpy as np

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


class SafeArray(ng.p.Array):
    """A genome that the operator mutates."""

    op: SMGSO

    def mutate(self) -> None:
        self.value = self.op(self.value, generator=self.random_state)


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks; a child replaces a worse one."""
    initial = task.initial_genomes(100, seed).astype(float)
    if safe:
        array = SafeArray(init=initial[0])
        array.op = SMGSO(task.network, divergence=0.03, experiences=task.experiences)
    else:
        array = ng.p.Array(init=initial[0]).set_mutation(sigma=0.05)
    array.random_state.seed(seed)
    strategy = ng.optimizers.EvolutionStrategy(popsize=100, offsprings=100)
    optimizer = strategy(array, budget=budget)
    for genome in initial:
        optimizer.suggest(genome)
    while task.solved_at is None and task.evaluations < budget:
        candidates = [optimizer.ask() for _ in range(100)]
        losses = -task.evaluate(np.stack([candidate.value for candidate in candidates]))
        for candidate, loss in zip(candidates, losses, strict=True):
            optimizer.tell(candidate, loss)


if __name__ == "__main__":
    Comparison("nevergrad", RecurrentParity, "`set_mutation(sigma=0.05)`", run, 1_000).main()
