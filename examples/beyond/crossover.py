"""What a child of two solutions keeps: safe crossover against interpolation, uniform crossover and mutation.

Pairs of solutions of different runs, whose weights have nothing in common, in every order. A child
keeps a parent's behaviour if it diverges from it by no more than D on what that parent has seen; and it
may still solve the task. Intervals are bootstrapped over the solutions, as every one is in many pairs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm import tqdm

from beyond.crossover_operators import DIVERGENCE, OPERATORS, TOLERANCE, Pairs
from beyond.parents import solutions
from beyond.study import Study
from evolution.atomic_file import read_json, write_json
from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CHAMPION, draw_maze, draw_paths
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.topdown_maze import TopdownMaze
from evolution.randomness import Purpose, stream
from evolution.record import MACHINE, describe, is_finished, machine, versions
from paper.figure import Job, Request
from paper.figures.pixel_mazes import FIGURE_6
from paper.figures.success_curves import FIGURE_1, FIGURE_3, SuccessCurves
from paper.style import save_figure
from safe_mutation import DivergenceNotReached, sensitivity
from safe_mutation.experiences import Experiences

SOLUTIONS = 20  # of each domain: 380 pairs
AT_ONCE = 20  # pairs
RESAMPLES = 1000
DOMAINS: dict[str, tuple[Domain, SuccessCurves]] = {
    "recurrent-parity": (RecurrentParity(), FIGURE_1),
    "breadcrumb-hard-maze": (BreadcrumbHardMaze(), FIGURE_3),
    "topdown-maze": (TopdownMaze(), FIGURE_6),
}


PICTURED = ("interpolation, halfway", "Fisher", "Fisher, D", "distillation, from the first")
MEASURES = ("solves", "keeps the first", "keeps the second")


@dataclass(frozen=True)
class Children:
    """The children of all pairs of solutions of one domain.

    Attributes:
        name: Of the domain.
        parents: The solutions (S, P).
        result: The JSON file to write; the children's genomes are not kept.
        seed: Of the operators.
        command: Command line that repeats it.
    """

    name: str
    parents: np.ndarray
    result: Path
    seed: int
    command: str = ""

    def __call__(self) -> None:
        """Make and measure the children, unless that has been done."""
        if is_finished(self.result, self.record()):
            return
        torch.set_num_threads(1)
        domain, _ = DOMAINS[self.name]
        found = {
            operator: measure(domain, self.parents, OPERATORS[operator], self.seed)
            for operator in tqdm(OPERATORS, desc=self.name)
        }
        write_json(self.result, {"command": self.command, "record": self.record(), "children": found})

    def record(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "domain": describe(DOMAINS[self.name][0]),
            "parents": describe(self.parents),
            "divergence": DIVERGENCE,
            "operators": list(OPERATORS),
            "seed": self.seed,
            "versions": versions(),
            MACHINE: machine(),
        }


def measure(
    domain: Domain, parents: np.ndarray, operator: Callable[[Pairs], np.ndarray], seed: int
) -> dict[str, list[float]]:
    """The children of every ordered pair of S solutions (S, P).

    Returns:
        For each pair, in the order of ``itertools.permutations``: whether the child solves the task (0 or 1),
        its divergences from the first and from the second parent on what they have seen, and its distance
        from the first over the distance of the parents.
    """
    seen = kept_experiences(domain, parents, seed)
    order = list(permutations(range(len(parents)), 2))
    found: dict[str, list[float]] = {name: [] for name in ("solves", "first", "second", "way")}
    for start in range(0, len(order), AT_ONCE):
        pairs = pair(domain, parents, seen, order[start : start + AT_ONCE], seed)
        children = offspring(pairs, operator)
        found["solves"] += domain.evaluate(children).solved.astype(int).tolist()
        found["first"] += divergences(domain, pairs.parents, children, pairs.seen)
        found["second"] += divergences(domain, pairs.others, children, pairs.others_seen)
        lengths = np.linalg.norm(children - pairs.parents, axis=1)
        found["way"] += _short(lengths / np.linalg.norm(pairs.others - pairs.parents, axis=1))
    return found


def pair(
    domain: Domain, parents: np.ndarray, seen: list[np.ndarray], places: list[tuple[int, int]], seed: int
) -> Pairs:
    """Some pairs among the solutions, by their places."""
    a, b = np.array(places).T
    noise = [stream(seed, n, m, Purpose.ROBUSTNESS) for n, m in places]
    return Pairs(domain, parents[a], parents[b], [seen[n] for n in a], [seen[n] for n in b], noise)


def offspring(pairs: Pairs, operator: Callable[[Pairs], np.ndarray]) -> np.ndarray:
    """A child (N, P) of each pair."""
    with warnings.catch_warnings():
        # A saturated parent cannot be moved as far as it should; its child counts all the same.
        warnings.simplefilter("ignore", DivergenceNotReached)
        return operator(pairs)


def kept_experiences(domain: Domain, genomes: np.ndarray, seed: int) -> list[np.ndarray]:
    """What each genome meets, as many as evolution keeps."""
    kept = []
    for n, experiences in enumerate(domain.evaluate(genomes).experiences):
        one = np.asarray(experiences)
        if len(one) > domain.experiences_kept:
            chance = stream(seed, n, 0, Purpose.EXPERIENCES)
            one = one[chance.choice(len(one), domain.experiences_kept, replace=False)]
        kept.append(one.copy())  # some are read-only
    return kept


def divergences(
    domain: Domain, parents: np.ndarray, children: np.ndarray, seen: list[Experiences]
) -> list[float]:
    """Equation 1 (N,) of each child from its parent on what that has seen."""
    found = [
        sensitivity.divergence(
            domain.network,
            torch.from_numpy(parents[n : n + 1]),
            torch.from_numpy(children[n : n + 1]),
            torch.from_numpy(seen[n])[None],
        ).item()
        for n in range(len(parents))
    ]
    return _short(np.array(found))


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def outcomes(children: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    """Of every child (N,): whether it solves, and whether it keeps what each parent does."""
    limit = DIVERGENCE * (1 + TOLERANCE)
    return {
        "solves": np.array(children["solves"], bool),
        "keeps the first": np.array(children["first"]) <= limit,
        "keeps the second": np.array(children["second"]) <= limit,
    }


def interval(hits: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of the share of hits among ordered pairs: solutions are drawn again and again."""
    number = int((1 + np.sqrt(1 + 4 * len(hits))) / 2)  # solutions: N = S (S - 1)
    square = np.full((number, number), np.nan)
    square[~np.eye(number, dtype=bool)] = hits  # by rows, as the pairs are ordered
    chance = np.random.default_rng(0)
    shares = []
    for _ in range(RESAMPLES):
        drawn = chance.integers(number, size=number)
        if (drawn != drawn[0]).any():  # or there is no pair
            shares.append(np.nanmean(square[np.ix_(drawn, drawn)]))
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Crossover(Study):
    """The shares as a table, and the children's ways through the maze as a picture."""

    def jobs(self, request: Request) -> list[Job]:
        """The children of every domain whose solutions are there.

        Raises:
            ValueError: If there are none in any.
        """
        jobs: list[Job] = []
        for name, (domain, figure) in DOMAINS.items():
            if not any((request.results / figure.name).glob("*.npz")):
                continue
            number = request.runs or SOLUTIONS
            parents = solutions(figure, domain, request.results, number, request.seed)
            result = self._data(request.results, name)
            jobs.append(Children(name, parents, result, request.seed, request.command(self.name)))
        if not jobs:
            raise ValueError(f"expected solutions of figure-1, -3 or -6 in {request.results}: run them first")
        return jobs

    def tables(self, results: Path) -> dict[str, str]:
        """The shares in every domain that there are data of."""
        files = {name: self._data(results, name) for name in DOMAINS}
        found = {name: read_json(file)["children"] for name, file in files.items() if file.exists()}
        return {f"crossover in {name}": table(children) for name, children in found.items()}

    def draw(self, results: Path) -> None:
        """Draw the children of maze solutions."""
        domain, figure = DOMAINS["breadcrumb-hard-maze"]
        data = self._data(results, domain.name)
        if data.exists() and any((results / figure.name).glob("*.npz")):
            seed = read_json(data)["record"]["seed"]
            parents = solutions(figure, domain, results, SOLUTIONS, seed)
            draw(domain, parents, seed, self.folder(results) / "children")

    def _data(self, results: Path, name: str) -> Path:
        return self.folder(results) / f"{name}.json"


def table(children: Mapping[str, Mapping[str, list[float]]]) -> str:
    """The shares of each operator's children with their intervals, as a Markdown table."""
    titles = ["operator", *MEASURES, "distance from the first"]
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for operator, own in children.items():
        cells = [operator]
        for hits in outcomes(own).values():
            low, high = interval(hits)
            cells.append(f"{hits.mean():.0%} ({low:.0%} to {high:.0%})")
        cells.append(f"{np.median(own['way']):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(domain: Domain, parents: np.ndarray, seed: int, stem: Path) -> None:
    """Draw the ways of one solution's children with each of the others, a panel for each operator."""
    seen = kept_experiences(domain, parents, seed)
    pairs = [(0, other) for other in range(1, len(parents))]
    own = domain.evaluate(parents[:1]).behavior[0]
    figure, axes = plt.subplots(1, len(PICTURED), figsize=(4 * len(PICTURED), 4.6), layout="constrained")
    for ax, operator in zip(axes, PICTURED, strict=True):
        children = offspring(pair(domain, parents, seen, pairs, seed), OPERATORS[operator])
        evaluation = domain.evaluate(children)
        draw_maze(ax)
        draw_paths(ax, evaluation)
        ax.plot(*own.T, color=CHAMPION, linewidth=1.2, linestyle=":")
        ax.set_title(f"{operator}\n{evaluation.solved.sum()} of {len(pairs)} children solve", fontsize=10)
    save_figure(figure, stem)


CROSSOVER = Crossover("beyond-crossover")
