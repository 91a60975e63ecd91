"""Divergent search in the hard maze with each operator: MAP-Elites and novelty search, by pyribs' archives.

    pip install ribs==0.12.0
    python examples/divergent_search.py map-elites --methods control SM-G-SO --runs 20

A run is a line of examples/results/divergent-search/ALGORITHM.jsonl. Runs that are there are not run again:
the command goes on where it was cut short. Operators have the paper's settings. Whatever the algorithm
keeps, coverage and QD score are those of one grid of 50 x 50 places, into which every child goes. A run's
``places`` are its filled ones at the end, row by row (y first), as the bits of a hexadecimal number.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import PercentFormatter
from ribs.archives import GridArchive, ProximityArchive
from scipy.stats import mannwhitneyu

from evolution.atomic_file import write_atomically
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import draw_maze
from paper.markdown import markdown_table
from paper.style import COLOURS, METHODS, save_figure
from safe_mutation import make

RESULTS = Path(__file__).parent / "results" / "divergent-search"
ALGORITHMS = ("map-elites", "novelty-search")
BATCH, KEPT = 100, 100  # children at once; experiences that an elite keeps
EVERY = 500  # evaluations between two entries of a record
PLACES, SIDE = 50, 203.0  # along one side of the grid; the maze's side, in its units
FARTHEST = 634.0  # the longest way to the goal
DOMAIN = BreadcrumbHardMaze()
FIELDS: dict[str, Any] = {"experiences": ((KEPT, 11), np.float32)}


def new_grid(seed: int) -> GridArchive:
    """Elites by where they end; each scores how much nearer to the goal that is than the farthest place."""
    return GridArchive(
        solution_dim=DOMAIN.network.num_params,
        dims=[PLACES, PLACES],
        ranges=[(0, SIDE), (0, SIDE)],
        qd_score_offset=-FARTHEST,
        extra_fields=FIELDS,
        seed=seed,
    )


def new_archive(algorithm: str, grid: GridArchive, seed: int) -> Any:
    """What parents are drawn from: the grid's elites, or all that were novel when they came."""
    if algorithm == "map-elites":
        return grid
    return ProximityArchive(
        solution_dim=DOMAIN.network.num_params,
        measure_dim=2,
        k_neighbors=15,
        novelty_threshold=2.0,
        extra_fields=FIELDS,
        seed=seed,
    )


def search(algorithm: str, method: str, seed: int, evaluations: int) -> tuple[dict, GridArchive]:
    """One run: its record, and the grid at its end."""
    rng = np.random.default_rng(seed)
    op = make(method, DOMAIN.network, domain="breadcrumb-hard-maze")
    grid = new_grid(seed)
    archive = new_archive(algorithm, grid, seed)
    record: dict[str, Any] = {
        "method": method,
        "seed": seed,
        "evaluations": [],
        "coverage": [],
        "qd_score": [],
    }
    solved_at = None
    genomes = DOMAIN.network.initial_genomes(BATCH, rng)
    for done in range(BATCH, evaluations + 1, BATCH):
        evaluation = DOMAIN.evaluate(genomes)
        if solved_at is None and evaluation.solved.any():
            solved_at = done - BATCH + 1 + int(evaluation.solved.argmax())
        # A network whose outputs are no numbers stands as far away as can be.
        told = {
            "solution": genomes,
            "objective": np.maximum(evaluation.fitness, -FARTHEST),
            "measures": evaluation.behavior[:, -1],
            "experiences": evaluation.experiences[:, np.sort(rng.permutation(DOMAIN.frames)[:KEPT])],
        }
        for each in {id(kept): kept for kept in (grid, archive)}.values():
            each.add(**told)
        if done % EVERY == 0:
            record["evaluations"].append(done)
            record["coverage"].append(round(float(grid.stats.coverage), 4))
            record["qd_score"].append(round(float(grid.stats.qd_score)))
        parents = archive.sample_elites(BATCH)
        genomes = op(
            parents["solution"].astype(np.float32),
            experiences=parents["experiences"],
            per_parent=True,
            generator=rng,
        )
    filled = np.zeros((PLACES, PLACES), dtype=bool)
    filled.T.flat[grid.data("index")] = True
    return record | {"solved_at": solved_at, "places": np.packbits(filled).tobytes().hex()}, grid


def read_runs(algorithm: str, results: Path) -> list[dict]:
    """The runs that are there.

    Raises:
        ValueError: If a line is none; the message names it.
    """
    path, runs = results / f"{algorithm}.jsonl", []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), start=1):
        try:
            runs.append(json.loads(line))
        except ValueError:
            raise ValueError(f"line {number} of {path} is not a whole run: remove it") from None
    return runs


def keep(record: dict, algorithm: str, results: Path) -> None:
    """Add a run to those that are there; whenever this is cut short, the file holds whole runs."""
    folder = os.open(results, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # another command may add one at the same time
        lines = [json.dumps(run) for run in (*read_runs(algorithm, results), record)]
        write_atomically(results / f"{algorithm}.jsonl", ("\n".join(lines) + "\n").encode())
    finally:
        os.close(folder)


def draw(algorithm: str, results: Path) -> None:
    """Median coverage and QD score of each operator over evaluations, quartiles shaded."""
    runs = read_runs(algorithm, results)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for column, axis in zip(("coverage", "qd_score"), axes, strict=True):
        for method in METHODS:
            mine = [run for run in runs if run["method"] == method]
            if mine:
                length = min(len(run[column]) for run in mine)
                values = np.array([run[column][:length] for run in mine])
                low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
                where = mine[0]["evaluations"][:length]
                axis.plot(where, middle, color=COLOURS[method], label=f"{method}, {len(mine)} runs")
                axis.fill_between(where, low, high, color=COLOURS[method], alpha=0.15, linewidth=0)
        axis.set(xlabel="evaluations", ylabel={"qd_score": "QD score"}.get(column, column))
    axes[0].legend(fontsize=8)
    save_figure(figure, results / algorithm)


def filled_places(run: dict) -> np.ndarray:
    """Where robots had ended by the end of a run: (50, 50) bool, y before x."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(run["places"]), dtype=np.uint8), count=PLACES**2)
    return bits.reshape(PLACES, PLACES).astype(bool)


def draw_archives(algorithm: str, results: Path) -> None:
    """The maze once for each operator; how dark a place is says in how many runs a robot has ended there."""
    runs = read_runs(algorithm, results)
    figure, axes = plt.subplots(1, len(METHODS), figsize=(10, 2.2), layout="constrained")
    for method, axis in zip(METHODS, axes, strict=True):
        draw_maze(axis)
        axis.set_title(method)
        mine = [filled_places(run) for run in runs if run["method"] == method]
        share = np.mean(mine, axis=0) if mine else np.zeros((PLACES, PLACES))
        image = axis.imshow(share, extent=(0, SIDE, SIDE, 0), cmap="Reds", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the runs", format=PercentFormatter(1.0))
    save_figure(figure, results / f"{algorithm}-archives")


def table(algorithm: str, results: Path) -> str:
    """Coverage and QD score at the end, median and quartiles; p of the score against the control's."""
    rows = []
    runs = read_runs(algorithm, results)
    scores = {method: [run["qd_score"][-1] for run in runs if run["method"] == method] for method in METHODS}
    for method in METHODS:
        mine = [run for run in runs if run["method"] == method]
        if mine:
            coverage = quartiles([run["coverage"][-1] for run in mine], ".3f")
            different = method != "control" and bool(scores["control"])
            p = f"{mannwhitneyu(scores[method], scores['control']).pvalue:.1g}" if different else ""
            solved = sum(run["solved_at"] is not None for run in mine)
            rows.append([method, f"{len(mine)}", coverage, quartiles(scores[method], ",.0f"), p, f"{solved}"])
    return markdown_table([algorithm, "runs", "coverage", "QD score", "p", "solved"], rows)


def quartiles(values: list[float], spec: str) -> str:
    """The median, and in brackets the quartiles."""
    low, middle, high = (format(value, spec) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return f"{middle} ({low} to {high})"


def main() -> None:
    """Run what is missing, seed by seed, then draw and print."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("algorithm", choices=ALGORITHMS)
    parser.add_argument("--methods", nargs="+", metavar="METHOD", default=METHODS, choices=METHODS)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.evaluations < EVERY or options.evaluations % EVERY:
        parser.error(f"argument --evaluations: expected a multiple of {EVERY}, got {options.evaluations}")
    try:
        known = read_runs(options.algorithm, options.results)
    except ValueError as error:
        parser.error(str(error))
    budgets = {max(run["evaluations"], default=0) for run in known}
    if budgets - {options.evaluations}:
        parser.error(
            f"argument --evaluations: expected {budgets.pop()}, as of the runs in {options.results}, "
            f"got {options.evaluations}: name another folder with --results"
        )
    torch.set_num_threads(1)
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in range(1, options.runs + 1):
        for method in options.methods:
            there = {(run["method"], run["seed"]) for run in read_runs(options.algorithm, options.results)}
            if (method, seed) not in there:
                record, _ = search(options.algorithm, method, seed, options.evaluations)
                keep(record, options.algorithm, options.results)
    draw(options.algorithm, options.results)
    draw_archives(options.algorithm, options.results)
    print(table(options.algorithm, options.results), end="")


if __name__ == "__main__":
    main()
