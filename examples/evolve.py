"""Evolve a network in one of the paper's domains and picture what safe mutation does to the champion.

    python examples/evolve.py breadcrumb-hard-maze --runs 8 --seed 1

The run folder then holds record.json, history.jsonl, the champion (champion.npz; its weights for a plain
nn.Module in champion.pt and champion.safetensors) and, for the maze, solution.png. --workers N breeds in N
processes, --ray on a cluster, --device cuda on a GPU.
Ctrl-C stops cleanly; the same command goes on from where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evolution.algorithms import ALGORITHMS
from evolution.atomic_file import write_json, write_npz
from evolution.crew import TaskFailed
from evolution.domain import Domain
from evolution.domains import DOMAINS
from evolution.executors import add_executor_arguments, check_executor_arguments, hired, shared
from evolution.experiment import Experiment, advance, resume
from evolution.export import state_dict, write_safetensors, write_state_dict
from evolution.folder_lock import locked
from evolution.history import History, Listener
from evolution.interrupts import deferred_interrupts
from evolution.lockstep import Lockstep
from evolution.randomness import seed_argument
from evolution.record import Record
from evolution.replicate import Replicate
from evolution.result import show_progress
from evolution.said import SAID
from evolution.workers import Breeder
from paper.table_s2 import UNTUNED, experiment
from safe_mutation.operators import OPERATORS


def evolve(
    lockstep: Lockstep,
    history: History,
    saved: Path,
    record: Record,
    solutions: int,
    interrupted: Callable[[], bool],
    breeder: Breeder | None,
) -> None:
    """Run to the end, or until so many runs are solved, keeping history and checkpoints."""
    bar = tqdm(
        initial=lockstep.evaluations, unit=" evaluations", smoothing=0.05, dynamic_ncols=True, file=SAID
    )
    with bar, closing(advance(lockstep, saved, record, interrupted, history.state, breeder)) as steps:
        while lockstep.solved < solutions and (evaluations := next(steps, 0)):
            history.log(lockstep)
            show_progress(bar, lockstep, evaluations)


def choose_champion(lockstep: Lockstep, seed: int) -> Replicate | None:
    """The replicate with the best champion; of several solutions the one that the domain prefers."""
    found = [replicate for replicate in lockstep.replicates if replicate.champion is not None]
    solved = [replicate for replicate in found if replicate.solved_at is not None]
    if not solved:
        return max(found, key=lambda replicate: _fitness(replicate), default=None)
    if len(solved) == 1:
        return solved[0]
    solved.sort(key=lambda replicate: replicate.solved_at or 0)
    preferences = [lockstep.domain.preference(r.champion, seed) for r in solved if r.champion is not None]
    return solved[int(np.argmax(preferences))]


def _fitness(replicate: Replicate) -> float:
    return -np.inf if replicate.champion is None else replicate.champion.fitness


def save_champion(path: Path, replicate: Replicate) -> None:
    """Write the champion of a replicate, and where it comes from."""
    champion = replicate.champion
    assert champion is not None  # of a replicate that has begun
    experiences = champion.experiences
    arrays = experiences if isinstance(experiences, dict) else {"experiences": experiences}
    write_npz(
        path,
        {
            **arrays,
            "genome": champion.genome,
            "fitness": np.array(champion.fitness),
            "solved": np.array(champion.solved),
            "run": np.array(replicate.run),
            "evaluations": np.array(replicate.evaluations),
        },
    )


def export(folder: Path, domain: Domain, replicate: Replicate) -> None:
    """Write the champion's weights for a plain nn.Module, where the domain's network has one."""
    champion = replicate.champion
    assert champion is not None  # of a replicate that has begun
    if (weights := state_dict(domain.network, champion.genome)) is not None:
        write_state_dict(folder / "champion.pt", weights)
        write_safetensors(folder / "champion.safetensors", weights)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; anything that does not make sense ends with one line and status 2."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("domain", choices=DOMAINS, help="what to evolve for")
    parser.add_argument("--variant", help="another form of the domain")
    parser.add_argument(
        "--operator", choices=[*UNTUNED, *OPERATORS], default="SafeMutation", help="default: %(default)s"
    )
    parser.add_argument("--algorithm", choices=ALGORITHMS, help="default: the paper's for the domain")
    parser.add_argument("--runs", type=int, default=8, help="replicates in lockstep (default: %(default)s)")
    parser.add_argument("--seed", type=seed_argument, default=1, help="default: %(default)s")
    strength = parser.add_mutually_exclusive_group()
    strength.add_argument("--intensity", type=float, help="sigma, or divergence for SM-R (default: table S1)")
    strength.add_argument("--divergence", type=float, help="of a child from its parent, in place of sigma")
    parser.add_argument("--max-evaluations", type=int, help="of each run (default: table S2)")
    parser.add_argument("--solutions", type=int, metavar="N", help="stop when N runs have solved the task")
    parser.add_argument(
        "--portable",
        action="store_true",
        help="mutate in double precision: the same on any processor; slower, most with convolutions",
    )
    parser.add_argument("--tensorboard", action="store_true", help="event files in the run folder, too")
    add_executor_arguments(parser)
    parser.add_argument("--output", type=Path, help="run folder (default: runs/DOMAIN/OPERATOR/seed-SEED)")
    options = parser.parse_args(arguments)
    check_executor_arguments(parser, options)
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
    return options


def experiment_of(options: argparse.Namespace) -> Experiment:
    """What the command line asks for."""
    domain: Domain = DOMAINS[options.domain]()
    domain = domain.variant(options.variant) if options.variant else domain
    of_operator: dict[str, Any] = {} if options.divergence is None else {"divergence": options.divergence}
    if options.portable:
        of_operator["precision"] = "float64"
    return experiment(
        domain,
        options.operator,
        seed=options.seed,
        runs=options.runs,
        max_evaluations=options.max_evaluations,
        intensity=options.intensity,
        options=of_operator,
        algorithm=ALGORITHMS[options.algorithm]() if options.algorithm else None,
    )


@contextmanager
def tensorboard(options: argparse.Namespace) -> Iterator[tuple[Listener, ...]]:
    """Who listens to the history: TensorBoard, if the command line asks for it."""
    if not options.tensorboard:
        yield ()
        return
    try:
        from evolution.tensorboard import TensorBoard  # need not be installed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install tensorboard") from error
    with closing(TensorBoard(options.output)) as listener:
        yield (listener,)


def evolve_in(
    folder: Path,
    experiment: Experiment,
    solutions: int,
    breeder: Breeder | None = None,
    listeners: tuple[Listener, ...] = (),
) -> None:
    """Evolve, then write champion and picture into the run folder, also after an interrupt.

    Args:
        folder: The run folder; nobody else may use it (see ``folder_lock``).
        experiment: What to run.
        solutions: When to stop.
        breeder: Who makes and evaluates the children; this process by default.
        listeners: Called with each line of the history.
    """
    record, seed, saved = experiment.record(), experiment.seed, folder / "checkpoint.npz"
    lockstep, before = resume(experiment, saved)
    write_json(folder / "record.json", record, indent=2)
    try:
        with (
            closing(History(folder / "history.jsonl", lockstep, before, listeners)) as history,
            deferred_interrupts() as interrupted,
        ):
            evolve(lockstep, history, saved, record, solutions, interrupted, breeder)
    finally:
        for replicate in lockstep.replicates:
            if replicate.champion is not None:
                replicate.champion = replicate.champion.on_host()
        chosen = choose_champion(lockstep, seed)
        if chosen is not None:
            save_champion(folder / "champion.npz", chosen)
            export(folder, experiment.domain, chosen)
    solved = sorted(r.solved_at for r in lockstep.replicates if r.solved_at is not None)
    print(
        f"{len(solved)} of {len(lockstep.replicates)} runs solved"
        + (f", at evaluations {solved}" if solved else "")
    )
    if chosen is None or chosen.champion is None:
        return
    if told := experiment.domain.picture(folder / "solution.png", chosen.champion, seed):
        print(told)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)  # the batches are small: a second thread costs more than it brings
    try:
        wanted = shared(options, experiment_of(options))
        with (
            locked(options.output),
            hired(options, wanted) as breeder,
            tensorboard(options) as listeners,
        ):
            evolve_in(options.output, wanted, options.solutions, breeder, listeners)
    except (ValueError, OSError, ImportError, MemoryError, TaskFailed) as error:
        print(f"evolve.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {options.output}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
