"""Run the paper's experiments again, at full size, and compare with its figures and claims.

    python examples/reproduce.py figure-1 --processes 2

Killed at any moment and started again, a command goes on from its last checkpoint and ends with the
same files. Data and pictures go to examples/results/FIGURE/; a result that is there already is not
computed again (name another folder with --results to do so). ``claims`` only tests and draws.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from paper.figure import Job, Request
from paper.figures import FIGURES
from paper.results_page import write_page
from paper.style import METHODS

CLAIMS = "claims"


def run_all(jobs: list[Job], processes: int) -> None:
    """Run jobs here, or spread over several processes; their results do not depend on it."""
    if processes == 1:
        for job in jobs:
            job()
        return
    context = multiprocessing.get_context("spawn")
    tqdm.set_lock(context.RLock())
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=tqdm.set_lock, initargs=(tqdm.get_lock(),)
    ) as pool:
        for future in [pool.submit(run_one, job) for job in jobs]:
            future.result()


def run_one(job: Job) -> None:
    """Run a job in a process of its own."""
    torch.set_num_threads(1)
    job()


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figure", choices=[*FIGURES, CLAIMS])
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--runs", type=int, help="replicates of each method (default: table S2)")
    parser.add_argument("--max-evaluations", type=int, help="budget of a run (default: table S2)")
    parser.add_argument("--processes", type=int, default=1, help="methods computed at a time (default: 1)")
    folder = Path(__file__).parent / "results"
    parser.add_argument("--results", type=Path, default=folder, help="default: examples/results")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/reproduce"), help="checkpoints (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    for name in ("runs", "max_evaluations", "processes"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"argument --{name.replace('_', '-')}: expected at least 1, got {value}")
    return options


def reproduce(options: argparse.Namespace) -> None:
    """Compute a figure and draw it, or draw all that are there; then write the page of results."""
    if options.figure == CLAIMS:
        for figure in FIGURES.values():
            figure.draw(options.results)
    else:
        request = Request(
            options.seed,
            tuple(options.methods),
            options.results,
            options.work,
            options.runs,
            options.max_evaluations,
        )
        figure = FIGURES[options.figure]
        run_all(figure.jobs(request), options.processes)
        figure.draw(options.results)
    write_page(options.results)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    try:
        reproduce(options)
    except (ValueError, OSError) as error:
        print(f"reproduce.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
