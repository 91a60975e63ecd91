"""AgileRL evolves agents for the hard maze with its parameter mutation, and with the safe one in its place.

    pip install ./safe_mutation ./gym_safemaze agilerl==2.58.0 peft==0.21.2
    python examples/other_libraries/agilerl_maze.py

Agents evolve without learning here; AgileRL's training loops take ``Mutations`` in the same way. The library
imports peft, which is for language models, and does not install it.
"""

import numpy as np
from agilerl.algorithms import DQN
from agilerl.hpo.mutation import Mutations
from agilerl.hpo.tournament import TournamentSelection
from agilerl.modules.dummy import DummyEvolvable
from gymnasium.spaces import Box, Discrete

from comparison import Comparison
from maze_task import HardMaze, make_policy
from safe_mutation import SMGSO

SIZE = 50


class SafeMutations(Mutations):
    """Parameter mutations by a safe operator, made anew each time, as architectures may differ."""

    def parameter_mutation(self, individual):
        self.experiences = individual.experiences
        return super().parameter_mutation(individual)

    def _gaussian_parameter_mutation(self, network):
        op = SMGSO(network, divergence=0.03, weight_clip=0.2)
        return op.mutate_(network, experiences=self.experiences, generator=self.rng)


def run(task: HardMaze, safe: bool, seed: int, budget: int) -> None:
    """Generations of tournaments of five; the best agent stays."""
    kind = SafeMutations if safe else Mutations
    only_parameters = {"no_mutation": 0, "architecture": 0, "new_layer_prob": 0, "activation": 0, "rl_hp": 0}
    mutations = kind(**only_parameters, parameters=1, mutate_elite=False, rand_seed=seed)
    tournament = TournamentSelection(tournament_size=5, elitism=True, population_size=SIZE)

    def evaluate(agents: list) -> None:
        genomes = np.stack([task.network.flatten(agent.actor.module).numpy() for agent in agents])
        rollouts = task.evaluate(genomes)
        for agent, fitness, experiences in zip(agents, rollouts.fitness, rollouts.experiences, strict=True):
            agent.fitness, agent.experiences = [float(fitness)], experiences

    agents: list[DQN] = []
    for genome in task.initial_genomes(SIZE, seed):
        actor = DummyEvolvable("cpu", module_fn=make_policy)
        task.network.load_(actor.module, genome)
        agents.append(DQN(Box(-1, 1, (11,)), Discrete(2), index=len(agents), actor_network=actor))
    evaluate(agents)
    while task.solved_at is None and task.evaluations < budget:
        _, agents, _ = tournament.select(agents)
        agents = mutations.mutation(agents)
        evaluate(agents)


if __name__ == "__main__":
    Comparison("agilerl", HardMaze, "`Mutations(parameters=1)`", run, 400).main()
