"""pymoo's genetic algorithm learns parity with polynomial mutation, and with the safe one.

    pip install ./safe_mutation pymoo==0.6.2
    python examples/other_libraries/pymoo_parity.py

pymoo brings the random numbers; SafeMutation is all that it needs.
"""

from typing import Any

import numpy as np
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


class SafeMutation(Mutation):
    """An operator as pymoo wants it."""

    def __init__(self, op):
        super().__init__(prob=1.0)
        self.op = op

    def _do(self, problem, X, random_state=None, **kwargs):
        return self.op(X, generator=random_state)


class Parity(Problem):
    """The task as pymoo wants it: to be minimised, within bounds."""

    def __init__(self, task: RecurrentParity) -> None:
        super().__init__(n_var=task.network.num_params, n_obj=1, xl=-5.0, xu=5.0)
        self.task = task

    def _evaluate(self, x: np.ndarray, out: dict, *args: Any, **kwargs: Any) -> None:
        out["F"] = -self.task.evaluate(x)


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks, without crossover."""
    op = SMGSO(task.network, divergence=0.03, experiences=task.experiences)
    ga = GA(
        pop_size=100,
        sampling=task.initial_genomes(100, seed).astype(float),
        crossover=SBX(prob=0.0),
        mutation=SafeMutation(op) if safe else PM(prob=1.0, eta=20),
        eliminate_duplicates=False,
    )
    ga.setup(Parity(task), termination=("n_eval", budget), seed=seed)
    while task.solved_at is None and ga.has_next():
        ga.next()


if __name__ == "__main__":
    Comparison("pymoo", RecurrentParity, "`PM(eta=20)`", run, 12_000).main()
