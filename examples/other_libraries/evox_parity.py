"""EvoX's NSGA-II learns parity with polynomial mutation, and with the safe one.

    pip install ./safe_mutation evox==1.4.0
    python examples/other_libraries/evox_parity.py

EvoX's multi-objective algorithms have a slot for mutation. They cut children at the bounds: give wide ones.
"""

import torch
from evox.algorithms import NSGA2
from evox.core import Problem
from evox.workflows import StdWorkflow
from torch import Tensor

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


class Parity(Problem):
    """Two objectives, to be minimised: the loss, and the number of wrong answers."""

    def __init__(self, task: RecurrentParity) -> None:
        super().__init__()
        self.task = task

    def evaluate(self, pop: Tensor) -> Tensor:
        """Objectives (N, 2) of genomes (N, P)."""
        genomes = pop.numpy()
        loss = torch.from_numpy(-self.task.evaluate(genomes))
        wrong = torch.from_numpy((self.task.right(genomes) <= 0.5).sum(axis=1))
        return torch.stack([loss, wrong.float()], dim=1)


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks, without crossover."""
    torch.manual_seed(seed)
    op = SMGSO(task.network, divergence=0.03, experiences=task.experiences, generator=seed)

    def mutate(genomes, lb, ub):
        return op(genomes)

    # Finite, or EvoX makes NaN of them. Polynomial steps are a share of the range; safe ones have any length.
    bound = torch.full((task.network.num_params,), 1000.0 if safe else 5.0)
    algorithm = NSGA2(
        pop_size=100,
        n_objs=2,
        lb=-bound,
        ub=bound,
        crossover_op=lambda parents: parents,
        mutation_op=mutate if safe else None,
    )
    algorithm.pop = torch.from_numpy(task.initial_genomes(100, seed))
    workflow = StdWorkflow(algorithm, Parity(task))
    workflow.init_step()
    while task.solved_at is None and task.evaluations < budget:
        workflow.step()


if __name__ == "__main__":
    Comparison("evox", RecurrentParity, "`polynomial_mutation`", run, 12_000).main()
