"""DEAP evolves a sixteen-layer network for the hard maze with mutGaussian, and with the safe mutation.

    pip install ./safe_mutation ./gym_safemaze deap==1.4.4
    python examples/other_libraries/deap_maze.py

Each individual keeps what it sensed, and its children are mutated by that.
"""

import random

import numpy as np
from deap import algorithms, base, tools

from comparison import Comparison
from maze_task import HardMaze
from safe_mutation import SMGSO


class Fitness(base.Fitness):
    """To be maximised."""

    weights = (1.0,)


class Individual(list):
    """A genome, its fitness, and what it sensed when it was evaluated."""

    def __init__(self, genome: np.ndarray) -> None:
        super().__init__(genome)
        self.fitness = Fitness()
        self.experiences = np.empty((0, 11), dtype=np.float32)


def run(task: HardMaze, safe: bool, seed: int, budget: int) -> None:
    """A (50 + 50) evolution strategy with tournaments."""
    random.seed(seed)
    rng = np.random.default_rng(seed)
    op = SMGSO(task.network, divergence=0.03, weight_clip=0.2, generator=rng)

    def mutate(individual):
        individual[:] = op(np.array(individual), experiences=individual.experiences)
        return (individual,)

    toolbox = base.Toolbox()
    toolbox.register("mutate", tools.mutGaussian, mu=0.0, sigma=0.05, indpb=1.0)
    if safe:
        toolbox.register("mutate", mutate)
    toolbox.register("select", tools.selTournament, tournsize=3)

    def evaluate(individuals: list) -> None:
        rollouts = task.evaluate(np.stack(individuals))
        for individual, *result in zip(individuals, rollouts.fitness, rollouts.experiences, strict=True):
            individual.fitness.values, individual.experiences = result[:1], result[1]

    population = [Individual(genome) for genome in task.initial_genomes(50, seed).astype(float)]
    evaluate(population)
    while task.solved_at is None and task.evaluations < budget:
        parents = toolbox.select(population, 50)
        offspring = algorithms.varAnd(parents, toolbox, cxpb=0.0, mutpb=1.0)
        evaluate(offspring)
        population = tools.selBest(population + offspring, 50)


if __name__ == "__main__":
    Comparison("deap", HardMaze, "`mutGaussian(sigma=0.05, indpb=1)`", run, 600).main()
