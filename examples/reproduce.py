"""Run the paper's experiments again, at full size, and compare with its figures and claims.

    python examples/reproduce.py figure-1 --processes 2

Killed at any moment and started again, a command goes on from its last checkpoint and ends with the
same files. Data and pictures go to examples/results/FIGURE/; a result that is there already is not
computed again (name another folder with --results to do so). ``claims`` only tests and draws.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from evaluation_speed import compare
from evolution.replicates import Job, run_job
from paper.figures import intensity_grid, robustness, toy_figure
from paper.figures.open_choices import CHOICES
from paper.results_page import pooled_data, success_data, write_tables
from paper.success_plot import plot_success
from paper.table_s2 import OPERATORS, TABLE_S2

DOMAINS = {"figure-1": "recurrent-parity", "figure-3": "breadcrumb-hard-maze"}


def success_figure(options: argparse.Namespace) -> None:
    """Figures 1 and 3: the share of runs solved over evaluations, for each method."""
    domain = DOMAINS[options.figure]
    jobs = [
        new_job(options, domain, operator, f"{operator}.json", position, TABLE_S2[domain].runs)
        for position, operator in enumerate(options.methods)
    ]
    if not all(job.result.exists() for job in jobs):
        print(compare(domain, jobs[0].runs))
    run_all(jobs, options.processes)
    folder = options.results / options.figure
    draw_success(options.figure, success_data(folder), folder / options.figure)


def draw_success(figure: str, data: dict[str, np.ndarray], stem: Path) -> None:
    """Draw the success curves of the methods whose results are there."""
    domain = DOMAINS[figure]
    title = f"{domain}: {figure.replace('-', ' ')} of the paper"
    plot_success(title, domain, data, TABLE_S2[domain].max_evaluations, stem)


def toy(options: argparse.Namespace) -> None:
    """Figure S1: the toy model."""
    result = options.results / "figure-S1" / "errors.json"
    toy_figure.compute(result, options.seed, options.runs, options.max_evaluations, command(options))
    toy_figure.draw(toy_figure.load(result), result.with_name("figure-S1"))


def post_hoc_robustness(options: argparse.Namespace) -> None:
    """Figure S2: mutants of the solutions of figure 1."""
    result = options.results / "figure-S2" / "robustness.json"
    robustness.compute(options.results / "figure-1", result, options.seed, command(options))
    robustness.draw(result, result.with_name("figure-S2"))


def grid_search(options: argparse.Namespace) -> None:
    """Table S1: the search for mutation intensities, in Recurrent Parity."""
    folder = options.results / "table-S1"
    points = [
        (operator, intensity) for operator in options.methods for intensity in intensity_grid.INTENSITIES
    ]
    jobs = [
        new_job(
            options,
            "recurrent-parity",
            operator,
            intensity_grid.result_file(folder, operator, intensity).name,
            position,
            intensity_grid.RUNS,
            intensity,
        )
        for position, (operator, intensity) in enumerate(points)
    ]
    run_all(jobs, options.processes)
    if set(options.methods) == set(OPERATORS):
        intensity_grid.draw(folder, folder / "table-S1")
        print(intensity_grid.table(folder))


def open_choices(options: argparse.Namespace) -> None:
    """Choices that the paper leaves open, each against the same method of figure 1 or 3."""
    jobs = []
    for position, (name, choice) in enumerate(CHOICES.items()):
        domain, runs = DOMAINS[choice.figure], TABLE_S2[DOMAINS[choice.figure]].runs
        job = new_job(options, domain, choice.operator, f"{name}.json", position, runs)
        jobs.append(dataclasses.replace(job, **choice.changes))
    run_all(jobs, options.processes)


def new_job(
    options: argparse.Namespace,
    domain: str,
    operator: str,
    file: str,
    position: int,
    runs: int,
    intensity: float | None = None,
) -> Job:
    """Replicates of one method with the command line's seed and sizes."""
    return Job(
        domain=domain,
        operator=operator,
        seed=options.seed,
        runs=options.runs or runs,
        max_evaluations=options.max_evaluations or TABLE_S2[domain].max_evaluations,
        intensity=intensity,
        result=options.results / options.figure / file,
        work=options.work / options.figure / Path(file).stem,
        command=command(options),
        position=position,
    )


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


def redraw(options: argparse.Namespace) -> None:
    """Draw every figure again from the data."""
    for figure in DOMAINS:
        if data := success_data(options.results / figure):
            draw_success(figure, data, options.results / figure / figure)
        if pooled := pooled_data(options.results, figure):
            draw_success(figure, pooled, options.results / "more" / f"{figure}-pooled")
    if (toy_errors := options.results / "figure-S1" / "errors.json").exists():
        toy_figure.draw(toy_figure.load(toy_errors), toy_errors.with_name("figure-S1"))
    if (mutants := options.results / "figure-S2" / "robustness.json").exists():
        robustness.draw(mutants, mutants.with_name("figure-S2"))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "figure-1": success_figure,
    "figure-3": success_figure,
    "figure-S1": toy,
    "figure-S2": post_hoc_robustness,
    "table-S1": grid_search,
    "choices": open_choices,
    "claims": redraw,
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
        COMMANDS[options.figure](options)
        write_tables(options.results)
    except (ValueError, OSError) as error:
        print(f"reproduce.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
