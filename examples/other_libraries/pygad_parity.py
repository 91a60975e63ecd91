"""PyGAD learns parity with its random mutation, and with the safe one.

    pip install ./safe_mutation pygad==3.9.2
    python examples/other_libraries/pygad_parity.py

PyGAD passes all offspring at once; its random mutation draws from a range, for a tenth of the weights.
"""

import numpy as np
import pygad

from comparison import Comparison
from parity_task import RecurrentParity
from safe_mutation import SMGSO


def run(task: RecurrentParity, safe: bool, seed: int, budget: int) -> None:
    """Evolve 100 networks."""
    op = SMGSO(task.network, divergence=0.03, experiences=task.experiences, generator=seed)

    def mutate(offspring, ga):
        return op(offspring.astype(float))

    ga = pygad.GA(
        initial_population=task.initial_genomes(100, seed).astype(float),
        gene_type=float,
        num_generations=budget // 100,
        num_parents_mating=20,
        keep_elitism=20,
        crossover_type=None,
        mutation_type=mutate if safe else "random",
        random_mutation_min_val=-0.1,
        random_mutation_max_val=0.1,
        fitness_func=lambda ga, genomes, indices: task.evaluate(np.array(genomes)).tolist(),
        fitness_batch_size=100,
        on_generation=lambda ga: "stop" if task.solved_at or task.evaluations >= budget else None,
        random_seed=seed,
        suppress_warnings=True,
    )
    ga.run()


if __name__ == "__main__":
    Comparison("pygad", RecurrentParity, "random, ±0.1, a tenth of the weights", run, 8_000).main()
