"""All replicates of one method, from nothing or from a checkpoint to a small result file."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evolution import checkpoint
from evolution.algorithms.steady_state_ga import Individual
from evolution.experiment import Experiment, advance
from evolution.lockstep import Lockstep
from paper.table_s2 import OPERATORS


@dataclass(frozen=True)
class Job(Experiment):
    """An experiment and where its data go.

    Attributes:
        result: The JSON file to write; the solutions' genomes go beside it as ``.npz``.
        work: Folder of the checkpoints, removed in the end.
        command: Command line that repeats it.
        position: Line of its progress bar.
    """

    result: Path = Path("result.json")
    work: Path = Path("work")
    command: str = ""
    position: int = 0


def run_job(job: Job) -> None:
    """Compute the result of a job unless it is there already.

    Raises:
        ValueError: If a result or checkpoint of other settings is in the way.
    """
    settings = job.settings()
    if checkpoint.is_finished(job.result, settings):
        return
    torch.set_num_threads(1)  # the batches are small: a second thread costs more than it brings
    job.work.mkdir(parents=True, exist_ok=True)
    job.result.parent.mkdir(parents=True, exist_ok=True)
    saved = job.work / "checkpoint.npz"
    lockstep = job.lockstep()
    checkpoint.restore(saved, lockstep, settings)
    with tqdm(
        desc=f"{job.result.stem:8}",
        total=job.runs * job.max_evaluations,
        initial=sum(ga.evaluations for ga in lockstep.gas),
        unit="ev",
        position=job.position,
        smoothing=0.05,
        mininterval=1,
        dynamic_ncols=True,
    ) as bar:
        for evaluations in advance(lockstep, saved, settings):
            show_progress(bar, lockstep, evaluations)
    write_result(job, lockstep, settings)
    shutil.rmtree(job.work)


def solutions(folder: Path) -> dict[str, list[Individual]]:
    """For each method, the champions in a figure's folder that solve the task.

    Raises:
        ValueError: If a method's results are missing.
    """
    files = {method: folder / f"{method}.npz" for method in OPERATORS}
    missing = [method for method, file in files.items() if not file.exists()]
    if missing:
        raise ValueError(f"expected the solutions of {missing} in {folder}: run {folder.name} first")
    found: dict[str, list[Individual]] = {}
    for method, path in files.items():
        with np.load(path) as file:
            columns = [file[name] for name in ("genome", "fitness", "solved", "experiences")]
        individuals = [
            Individual(genome, float(fitness), bool(solved), experiences)
            for genome, fitness, solved, experiences in zip(*columns, strict=True)
        ]
        found[method] = [individual for individual in individuals if individual.solved]
    return found


def show_progress(bar: tqdm, lockstep: Lockstep, evaluations: int) -> None:
    """Move the bar on; what solved runs no longer need does not count as work to do."""
    bar.total = sum(
        ga.evaluations if solved_at else lockstep.max_evaluations
        for ga, solved_at in zip(lockstep.gas, lockstep.solved_at, strict=True)
    )
    solved = sum(solved_at is not None for solved_at in lockstep.solved_at)
    best = max(ga.champion.fitness for ga in lockstep.gas if ga.champion)
    bar.set_postfix_str(f"best {best:.4g}, solved {solved}/{len(lockstep.gas)}", refresh=False)
    bar.update(evaluations)


def write_result(job: Job, lockstep: Lockstep, settings: dict[str, Any]) -> None:
    """Write the champions' genomes and, last, the JSON file that marks the job as done."""
    champions = [ga.champion for ga in lockstep.gas if ga.champion]
    checkpoint.write_npz(
        job.result.with_suffix(".npz"),
        genome=np.stack([champion.genome for champion in champions]),
        experiences=np.stack([champion.experiences for champion in champions]),
        fitness=np.array([champion.fitness for champion in champions]),
        solved=np.array([champion.solved for champion in champions]),
    )
    runs = [
        {
            "run": ga.run,
            "solved_at": solved_at,
            "evaluations": ga.evaluations,
            "best_fitness": champion.fitness,
        }
        for ga, solved_at, champion in zip(lockstep.gas, lockstep.solved_at, champions, strict=True)
    ]
    content = {"command": job.command, "settings": settings, "runs": runs}
    checkpoint.write_atomically(job.result, (json.dumps(content, indent=1) + "\n").encode())
