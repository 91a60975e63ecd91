"""Run the paper's experiments again, at full size, and compare with its figures and claims.

    python examples/reproduce.py figure-1 --processes 2

Killed at any moment and started again, a command goes on from its last checkpoint and ends with the
same files. Data go to examples/results/FIGURE/, one small file per method.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from paper_settings import OPERATORS, TABLE_S2
from replicates import Job, run_job

FIGURES: dict[str, str] = {"figure-1": "recurrent-parity", "figure-3": "breadcrumb-hard-maze"}


def success_figure(figure: str, options: argparse.Namespace) -> None:
    """Figures 1 and 3: the share of runs solved over evaluations, for each method."""
    domain = FIGURES[figure]
    table = TABLE_S2[domain]
    jobs = [
        Job(
            domain=domain,
            operator=operator,
            seed=options.seed,
            runs=options.runs or table.runs,
            max_evaluations=options.max_evaluations or table.max_evaluations,
            result=options.results / figure / f"{operator}.json",
            work=options.work / figure / operator,
            command=command(options),
            position=position,
        )
        for position, operator in enumerate(options.methods)
    ]
    run_all(jobs, options.processes)


def command(options: argparse.Namespace) -> str:
    """The command line that computes the same numbers."""
    words = ["python", "examples/reproduce.py", options.figure, "--seed", str(options.seed)]
    if options.runs:
        words += ["--runs", str(options.runs)]
    if options.max_evaluations:
        words += ["--max-evaluations", str(options.max_evaluations)]
    return " ".join(words)


def run_all(jobs: list[Job], processes: int) -> None:
    """Run jobs here, or spread over several processes; their results do not depend on it."""
    if processes == 1:
        for job in jobs:
            run_job(job)
        return
    context = multiprocessing.get_context("spawn")
    tqdm.set_lock(context.RLock())
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=tqdm.set_lock, initargs=(tqdm.get_lock(),)
    ) as pool:
        for future in [pool.submit(run_job, job) for job in jobs]:
            future.result()


COMMANDS: dict[str, Callable[[str, argparse.Namespace], None]] = {
    "figure-1": success_figure,
    "figure-3": success_figure,
}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figure", choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--methods", nargs="+", choices=OPERATORS, default=list(OPERATORS), metavar="METHOD")
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    try:
        COMMANDS[options.figure](options.figure, options)
    except (ValueError, OSError) as error:
        print(f"reproduce.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
