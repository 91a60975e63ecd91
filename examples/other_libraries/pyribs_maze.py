"""pyribs illuminates the hard maze (MAP-Elites) with its Gaussian emitter, and with one of safe mutations.

    pip install ./safe_mutation ./gym_safemaze ribs==0.12.0
    python examples/other_libraries/pyribs_maze.py

What an elite has sensed travels with it in the archive.
"""

import numpy as np
from ribs.archives import GridArchive
from ribs.emitters import EmitterBase, GaussianEmitter
from ribs.schedulers import Scheduler

from comparison import Comparison
from maze_task import HardMaze
from safe_mutation import SMGSO


class SafeMutationEmitter(EmitterBase):
    """Children of elites, each by its own experiences, which travel with it in the archive."""

    def __init__(self, archive, op, batch_size, initial_solutions):
        super().__init__(
            archive, solution_dim=archive.solution_dim, bounds=None, lower_bounds=None, upper_bounds=None
        )
        self.op, self.batch_size, self.initial_solutions = op, batch_size, initial_solutions

    def ask(self):
        if self.archive.empty:
            return self.initial_solutions
        elites = self.archive.sample_elites(self.batch_size)
        return self.op(elites["solution"], experiences=elites["experiences"], per_parent=True)


def run(task: HardMaze, safe: bool, seed: int, budget: int) -> None:
    """Fill an archive of 20 x 20 places in the maze with the elites that end there."""
    archive = GridArchive(
        solution_dim=task.network.num_params,
        dims=[20, 20],
        ranges=[(0, 203), (0, 203)],
        extra_fields={"experiences": ((134, 11), np.float32)},
        seed=seed,
    )
    initial = task.initial_genomes(100, seed)
    stock = GaussianEmitter(archive, sigma=0.05, initial_solutions=initial, batch_size=100, seed=seed)
    op = SMGSO(task.network, divergence=0.03, weight_clip=0.2, generator=seed)
    emitter = SafeMutationEmitter(archive, op, batch_size=100, initial_solutions=initial) if safe else stock
    scheduler = Scheduler(archive, [emitter])
    while task.solved_at is None and task.evaluations < budget:
        rollouts = task.evaluate(scheduler.ask())
        scheduler.tell(rollouts.fitness, rollouts.behavior, experiences=rollouts.experiences)


if __name__ == "__main__":
    Comparison("ribs", HardMaze, "`GaussianEmitter(sigma=0.05)`", run, 4_000).main()
