"""Evolve a network in one of the paper's domains and picture what safe mutation does to the champion.

    python examples/evolve.py breadcrumb-hard-maze --operator SM-G-SO --runs 8 --seed 1

The run folder then holds settings.json, history.jsonl, champion.npz and, for the maze, solution.png.
Ctrl-C stops cleanly; the same command goes on from where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evolution import checkpoint
from evolution.algorithms.steady_state_ga import Individual, SteadyStateGA
from evolution.domains.hard_maze_picture import picture_solution, robustness
from evolution.domains.registry import DOMAINS
from evolution.experiment import Experiment, advance
from evolution.lockstep import Lockstep
from evolution.replicates import show_progress
from paper.table_s2 import OPERATORS, TABLE_S2

HISTORY_INTERVAL = 250  # evaluations between two lines of history.jsonl for each run


class History:
    """history.jsonl: for each run a line every so many evaluations and one when it is solved."""

    def __init__(self, path: Path, lockstep: Lockstep) -> None:
        kept = self._committed_lines(path, lockstep) if path.exists() else []
        checkpoint.write_atomically(path, "".join(kept).encode())
        self._file = open(path, "a", buffering=1)  # noqa: SIM115  (closed by close)
        self._logged = [ga.evaluations for ga in lockstep.gas]

    @staticmethod
    def _committed_lines(path: Path, lockstep: Lockstep) -> list[str]:
        """The lines that are not newer than the checkpoint; the others will be written again."""
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        entries = [json.loads(line) for line in lines]
        return [
            line
            for line, entry in zip(lines, entries, strict=True)
            if entry["evaluations"] <= lockstep.gas[entry["run"]].evaluations
        ]

    def log(self, lockstep: Lockstep) -> None:
        """Write the lines that are due."""
        for ga in lockstep.gas:
            last = self._logged[ga.run]
            solved = lockstep.solved_at[ga.run] is not None and last != ga.evaluations
            if solved or ga.evaluations // HISTORY_INTERVAL > last // HISTORY_INTERVAL:
                self._logged[ga.run] = ga.evaluations
                self._file.write(json.dumps(entry(lockstep, ga)) + "\n")

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()


def entry(lockstep: Lockstep, ga: SteadyStateGA) -> dict[str, Any]:
    """One line of the history."""
    fitness = [individual.fitness for individual in ga.population]
    return {
        "run": ga.run,
        "evaluations": ga.evaluations,
        "best_fitness": max(fitness),
        "mean_fitness": sum(fitness) / len(fitness),
        "solved": lockstep.solved_at[ga.run] is not None,
    }


def evolve(lockstep: Lockstep, folder: Path, settings: dict[str, Any], solutions: int) -> None:
    """Run to the end, or until so many runs are solved, keeping history and checkpoints in the folder."""
    saved = folder / "checkpoint.npz"
    history = History(folder / "history.jsonl", lockstep)
    done = sum(ga.evaluations for ga in lockstep.gas)
    budget = len(lockstep.gas) * lockstep.max_evaluations
    bar = tqdm(total=budget, initial=done, unit=" evaluations", smoothing=0.05, dynamic_ncols=True)
    with bar, closing(history), closing(advance(lockstep, saved, settings)) as steps:
        while sum(solved_at is not None for solved_at in lockstep.solved_at) < solutions:
            evaluations = next(steps, 0)
            if not evaluations:
                return
            history.log(lockstep)
            show_progress(bar, lockstep, evaluations)
        checkpoint.save(saved, lockstep, settings)


def choose_champion(
    lockstep: Lockstep, domain: str, operator: str, seed: int
) -> tuple[int, Individual] | None:
    """The best individual of all replicates and its run: a solution, if there is one.

    Of several solutions it is the most robust in the maze, and the earliest elsewhere.
    """
    found = [(ga.run, ga.champion) for ga in lockstep.gas if ga.champion is not None]
    solutions = [(run, champion) for run, champion in found if champion.solved]
    if not solutions:
        return max(found, key=lambda pair: pair[1].fitness, default=None)
    if domain == "breadcrumb-hard-maze" and len(solutions) > 1:
        return max(solutions, key=lambda pair: robustness(pair[1], operator, seed))
    return min(solutions, key=lambda pair: lockstep.solved_at[pair[0]] or np.inf)


def save_champion(path: Path, champion: Individual, run: int, evaluations: int) -> None:
    """Write an individual, and where it comes from."""
    checkpoint.write_npz(
        path,
        genome=champion.genome,
        experiences=champion.experiences,
        fitness=np.array(champion.fitness),
        solved=np.array(champion.solved),
        run=np.array(run),
        evaluations=np.array(evaluations),
    )


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; anything that does not make sense ends with one line and status 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("domain", choices=DOMAINS, help="what to evolve for")
    parser.add_argument("--operator", choices=OPERATORS, default="SM-G-SO", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=8, help="replicates in lockstep (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--intensity", type=float, help="sigma, or divergence for SM-R (default: table S1)")
    parser.add_argument("--max-evaluations", type=int, help="of each run (default: table S2)")
    parser.add_argument("--solutions", type=int, metavar="N", help="stop when N runs have solved the task")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/DOMAIN/OPERATOR/seed-SEED)")
    options = parser.parse_args(arguments)
    if options.max_evaluations is None:
        options.max_evaluations = TABLE_S2[options.domain].max_evaluations
    if options.output is None:
        options.output = Path("runs", options.domain, options.operator, f"seed-{options.seed}")
    if options.runs < 1:
        parser.error(f"argument --runs: expected at least 1 replicate, got {options.runs}")
    if options.solutions is None:
        options.solutions = options.runs
    if not 1 <= options.solutions <= options.runs:
        parser.error(
            f"argument --solutions: expected 1 to {options.runs}, the number of runs, got {options.solutions}"
        )
    if not 0 <= options.seed < 2**63:
        parser.error(f"argument --seed: expected a seed from 0 to 2**63 - 1, got {options.seed}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)  # the batches are small: a second thread costs more than it brings
    try:
        experiment = Experiment(
            options.domain,
            options.operator,
            options.seed,
            options.runs,
            options.max_evaluations,
            options.intensity,
        )
        lockstep, settings = experiment.lockstep(), experiment.settings()
        options.output.mkdir(parents=True, exist_ok=True)
        evolve_in(options, lockstep, settings)
    except (ValueError, OSError) as error:
        print(f"evolve.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {options.output}", file=sys.stderr)
        return 130
    return 0


def evolve_in(options: argparse.Namespace, lockstep: Lockstep, settings: dict[str, Any]) -> None:
    """Evolve, then write champion and picture into the run folder, also after an interrupt."""
    folder = options.output
    checkpoint.restore(folder / "checkpoint.npz", lockstep, settings)
    checkpoint.write_atomically(folder / "settings.json", (json.dumps(settings, indent=2) + "\n").encode())
    safe = options.operator if options.operator.startswith("SM-G") else "SM-G-SUM"
    try:
        evolve(lockstep, folder, settings, options.solutions)
    finally:
        chosen = choose_champion(lockstep, options.domain, safe, options.seed)
        if chosen is not None:
            run, champion = chosen
            save_champion(folder / "champion.npz", champion, run, lockstep.gas[run].evaluations)
    solved = [solved_at for solved_at in lockstep.solved_at if solved_at is not None]
    print(
        f"{len(solved)} of {len(lockstep.gas)} runs solved"
        + (f", at evaluations {sorted(solved)}" if solved else "")
    )
    if options.domain == "breadcrumb-hard-maze":
        print(picture_solution(folder / "solution.png", champion, safe, options.seed))


if __name__ == "__main__":
    sys.exit(main())
