"""Run the paper's experiments again, at full size, and compare with its figures and claims.

    python examples/reproduce.py figure-1 --workers 2

Killed at any moment and started again, a command goes on from its last checkpoint and ends with the
same files. Data and pictures go to examples/results/FIGURE/; a result that is there already is not
computed again (name another folder with --results to do so). ``claims`` only tests and draws.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from functools import partial
from pathlib import Path

import torch

from beyond.studies import STUDIES
from evolution.atomic_file import require_writable
from evolution.crew import Crew, TaskFailed
from evolution.executors import (
    add_executor_arguments,
    asked,
    check_executor_arguments,
    hired,
    part_of_the_result,
    shared,
)
from evolution.local_pool import LocalPool
from evolution.randomness import seed_argument
from evolution.result import Search
from paper.figure import Figure, Job, Request
from paper.figures import FIGURES as PAPER
from paper.results_page import write_pages
from paper.style import METHODS

CLAIMS = "claims"
WHOLE = (1, 1)  # the only share
FIGURES: dict[str, Figure] = PAPER | STUDIES


def run_all(jobs: list[Job], options: argparse.Namespace) -> None:
    """Run jobs one after the other or side by side, or spread the replicates of each over workers.

    Side by side, results are the same as one after the other; spread, they are those of the groups and the
    lag that the command line asks for, whatever the number of workers.
    """
    if asked(options):
        for job in jobs:
            spread(job, options)
    elif (options.workers or 1) > 1:
        run_side_by_side(jobs, options.workers)
    else:
        for job in jobs:
            job()


def spread(job: Job, options: argparse.Namespace) -> None:
    """Run a job here, and breed the children of a search elsewhere."""
    if not isinstance(job, Search):
        raise ValueError(f"expected a figure of searches with {asked(options)[0]}, got {options.figure}")
    experiment = shared(options, job.experiment)
    command = job.command + part_of_the_result(options)
    with hired(options, experiment) as breeder:
        dataclasses.replace(job, experiment=experiment, command=command)(breeder)


def run_side_by_side(jobs: list[Job], workers: int) -> None:
    """Run whole jobs in processes of their own; one that is lost goes on from its checkpoint in another.

    Their progress bars share no lock: one that ended with it, its reader gone, would keep the others waiting.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Crew(partial(LocalPool, workers, farewell=signal.SIGTERM)) as crew:
            tasks = [crew.submit(f"job {number + 1}", run_one, job) for number, job in enumerate(jobs)]
            for task in tasks:
                crew.result(task)
    finally:
        signal.signal(signal.SIGTERM, before)


def run_one(job: Job) -> None:
    """Run a job in a process of its own, which ends when it is interrupted, after a last checkpoint."""
    torch.set_num_threads(1)
    try:
        job()
    except KeyboardInterrupt:
        os._exit(1)


def share(text: str) -> tuple[int, int]:
    """Read "2/3" as (2, 3)."""
    numbers = text.split("/")
    if len(numbers) == 2 and all(map(str.isdecimal, numbers)):
        one, number = map(int, numbers)
        if 1 <= one <= number:
            return one, number
    raise argparse.ArgumentTypeError(f"expected K/N with 1 <= K <= N, got {text!r}")


def replicates(text: str) -> range:
    """Read "10" as the first ten replicates, and "10-19" as the next ten."""
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else int(first) >= 1):
        found = range(int(first), int(last) + 1) if dash else range(int(first))
        if found:
            return found
    raise argparse.ArgumentTypeError(f"expected a number of at least 1, or K-L with K <= L, got {text!r}")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("figure", choices=[*FIGURES, CLAIMS])
    parser.add_argument("--seed", type=seed_argument, default=1, help="default: %(default)s")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"default: {' '.join(METHODS)}",
    )
    parser.add_argument(
        "--runs",
        type=replicates,
        metavar="N",
        help="replicates of each method (default: table S2), or only those numbered K to L of more: K-L",
    )
    parser.add_argument("--max-evaluations", type=int, help="budget of a run (default: table S2)")
    add_executor_arguments(parser)
    parser.add_argument(
        "--share",
        type=share,
        default=WHOLE,
        metavar="K/N",
        help="only every N-th search, from the K-th: for N machines, whose results go into one folder",
    )
    folder = Path(__file__).parent / "results"
    parser.add_argument("--results", type=Path, default=folder, help="default: examples/results")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/reproduce"), help="checkpoints (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    check_executor_arguments(parser, options)
    if options.max_evaluations is not None and options.max_evaluations < 1:
        parser.error(f"argument --max-evaluations: expected at least 1, got {options.max_evaluations}")
    if options.figure == CLAIMS and not options.results.is_dir():
        parser.error(f"argument --results: expected a folder of results, got {options.results}")
    if options.figure == CLAIMS and (asked(options) or options.workers or options.share != WHOLE):
        parser.error(f"argument figure: expected none of the arguments of a computation with {CLAIMS}")
    for name in ("methods", "runs", "max_evaluations"):
        if getattr(options, name) is not None and name not in follows(options.figure):
            parser.error(f"argument --{name.replace('_', '-')}: expected none with {options.figure}")
    if options.runs and options.runs.start and "first" not in follows(options.figure):
        parser.error(f"argument --runs: expected a number with {options.figure}, got a part")
    return options


def follows(figure: str) -> frozenset[str]:
    """Which of the arguments decide what a figure computes."""
    return FIGURES[figure].follows if figure in FIGURES else frozenset()


def reproduce(options: argparse.Namespace) -> None:
    """Compute a figure and draw it, or draw all that are there; then write the pages of results."""
    if options.figure == CLAIMS:
        for figure in FIGURES.values():
            figure.draw(options.results)
    else:
        require_writable(options.results)
        request = Request(
            options.seed,
            tuple(options.methods or METHODS),
            options.results,
            options.work,
            options.runs and len(options.runs),
            options.max_evaluations,
            options.runs.start if options.runs else 0,
        )
        figure = FIGURES[options.figure]
        jobs = figure.jobs(request)
        if not jobs:
            raise ValueError(f"expected methods that {figure.name} has, got {', '.join(request.methods)}")
        first, step = options.share
        run_all(jobs[first - 1 :: step], options)
        figure.draw(options.results)
    write_pages(options.results, FIGURES.values())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    try:
        reproduce(options)
    except (ValueError, OSError, ImportError, MemoryError, TaskFailed) as error:
        print(f"reproduce.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
