"""EvoTorch's genetic algorithm learns parity with its Gaussian mutation, and with the safe one.

    pip install ./safe_mutation evotorch==0.6.1
    python examples/other_libraries/evotorch_parity.py

EvoTorch takes an operator as it is.
"""

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms import GeneticAlgorithm
from evotorch.operators import GaussianMutation
from evotorch.tools import set_default_logger_config

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


class Parity(Problem):
    """The task as EvoTorch wants it."""

    def __init__(self, task: RecurrentParity, seed: int) -> None:
        super().__init__("max", solution_length=task.network.num_params, dtype=torch.float32, seed=seed)
        self.task = task

    def _fill(self, values: torch.Tensor) -> None:
        seed = int(torch.randint(2**31, (), generator=self.generator))
        values[:] = torch.from_numpy(self.task.initial_genomes(len(values), seed))

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        batch.set_evals(torch.from_numpy(self.task.evaluate(batch.values.numpy())))


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks."""
    problem = Parity(task, seed)
    if safe:
        op = SMGSO(task.network, divergence=0.03, experiences=task.experiences, generator=seed)
    else:
        op = GaussianMutation(problem, stdev=0.05)
    searcher = GeneticAlgorithm(problem, operators=[op], popsize=100, re_evaluate=False)
    while task.solved_at is None and task.evaluations < budget:
        searcher.step()


if __name__ == "__main__":
    set_default_logger_config(logger_level=30, override=True)  # warnings only
    Comparison("evotorch", RecurrentParity, "`GaussianMutation(stdev=0.05)`", run, 12_000).main()
