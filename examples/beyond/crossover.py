"""What a child of two parents keeps: safe crossover against interpolation, uniform crossover and mutation.

Strangers are solutions of different runs, whose weights have nothing in common, each with every other.
Siblings are two mutants of one solution, as a population soon consists of. A child keeps a parent's
behaviour if it diverges from it by no more than D on what that parent has seen; and it may still solve
the task. Intervals are bootstrapped over the solutions, as every one is in several pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from beyond.crossover_children import PLACES, STRANGERS, measure, mutants
from beyond.crossover_operators import CONSTANTS, DIVERGENCE, OPERATORS, TOLERANCE
from beyond.crossover_ways import DOMAIN as PICTURED
from beyond.crossover_ways import Ways, draw
from beyond.parents import solutions
from beyond.study import Study
from evolution.atomic_file import read_json
from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.topdown_maze import TopdownMaze
from evolution.record import describe
from paper.computation import Computation
from paper.figure import Job, Request
from paper.figures.pixel_mazes import FIGURE_6
from paper.figures.success_curves import FIGURE_1, FIGURE_3, SuccessCurves
from paper.markdown import markdown_table

SOLUTIONS = 20  # of each domain: 380 pairs of strangers, 40 of siblings
RESAMPLES = 1000
DOMAINS: dict[str, tuple[Domain, SuccessCurves]] = {
    "recurrent-parity": (RecurrentParity(), FIGURE_1),
    "breadcrumb-hard-maze": (BreadcrumbHardMaze(), FIGURE_3),
    "topdown-maze": (TopdownMaze(), FIGURE_6),
}
MEASURES = ("solves", "keeps the first", "keeps the second")


@dataclass(frozen=True)
class Children(Computation):
    """The children of all pairs of parents of one kind in one domain.

    Attributes:
        name: Of the domain.
        kind: Strangers or siblings.
        solutions: Genomes (S, P). The children's are not kept.
    """

    name: str
    kind: str
    solutions: np.ndarray

    def compute(self) -> dict[str, Any]:
        """Make and measure the children."""
        domain, _ = DOMAINS[self.name]
        number = len(self.solutions)
        parents = self.solutions if self.kind == STRANGERS else mutants(domain, self.solutions, self.seed)
        places = PLACES[self.kind](number)
        found = {
            operator: measure(domain, parents, places, OPERATORS[operator], self.seed)
            for operator in tqdm(OPERATORS, desc=f"{self.name}, {self.kind}")
        }
        return {"children": found}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "domain": describe(DOMAINS[self.name][0]),
            "solutions": describe(self.solutions),
            "kind": self.kind,
            **CONSTANTS,
            "operators": list(OPERATORS),
            "seed": self.seed,
        }


def outcomes(children: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    """Of every child (N,): whether it solves, and whether it keeps what each parent does."""
    limit = DIVERGENCE * (1 + TOLERANCE)
    return {
        "solves": np.array(children["solves"], bool),
        "keeps the first": np.array(children["first"]) <= limit,
        "keeps the second": np.array(children["second"]) <= limit,
    }


def interval(hits: np.ndarray, kind: str) -> tuple[float, float]:
    """A 95 % interval of the share of hits: solutions are drawn again and again, with their pairs."""
    strangers = kind == STRANGERS
    number = int((1 + np.sqrt(1 + 4 * len(hits))) / 2) if strangers else len(hits) // 2  # of solutions
    square = np.full((number, number), np.nan)
    if strangers:
        square[~np.eye(number, dtype=bool)] = hits  # by rows, as the pairs are ordered
    else:
        np.fill_diagonal(square, hits.reshape(number, 2).mean(1))
    chance = np.random.default_rng(0)
    shares = []
    for _ in range(RESAMPLES):
        drawn = chance.integers(number, size=number)
        found = square[np.ix_(drawn, drawn)] if strangers else square[drawn, drawn]
        if np.isfinite(found).any():  # or one solution was drawn every time, and there is no pair
            shares.append(np.nanmean(found))
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Crossover(Study):
    """The shares as a table, and the children's ways through the maze as a picture."""

    follows = frozenset({"runs"})

    def jobs(self, request: Request) -> list[Job]:
        """The children of every domain whose solutions are there.

        Raises:
            ValueError: If there are none in any, or only one in a domain.
        """
        jobs: list[Job] = []
        for name, (domain, figure) in DOMAINS.items():
            if not any((request.results / figure.name).glob("*.npz")):
                continue
            number = request.runs or SOLUTIONS
            found = solutions(figure, domain, request.results, number, request.seed)
            if len(found) < 2:
                raise ValueError(f"expected at least two solutions of {figure.name}, got {len(found)}")
            for kind in PLACES:
                result = self._data(request.results, name, kind)
                command = request.command(self.name)
                jobs.append(Children(result, request.seed, name, kind, found, command=command))
            if name == PICTURED.name:
                jobs.append(Ways(self._ways(request.results), request.seed, found, command=command))
        if not jobs:
            raise ValueError(f"expected solutions of figure-1, -3 or -6 in {request.results}: run them first")
        return jobs

    def tables(self, results: Path) -> dict[str, str]:
        """The shares in every domain that there are data of."""
        blocks = {}
        for name, kind in product(DOMAINS, PLACES):
            if (data := self._data(results, name, kind)).exists():
                blocks[f"crossover in {name}, {kind}"] = table(read_json(data)["children"], kind)
        return blocks

    def draw(self, results: Path) -> None:
        """Draw the children of maze solutions."""
        if (data := self._ways(results)).exists():
            draw(read_json(data), self.folder(results) / "children")

    def _data(self, results: Path, name: str, kind: str) -> Path:
        return self.folder(results) / f"{name}-{kind}.json"

    def _ways(self, results: Path) -> Path:
        return self.folder(results) / "ways.json"


def table(children: Mapping[str, Mapping[str, list[float]]], kind: str) -> str:
    """The shares of each operator's children with their intervals, as a Markdown table."""
    titles = ["operator", *MEASURES, "distance from the first"]
    rows = []
    for operator, own in children.items():
        cells = [operator]
        for hits in outcomes(own).values():
            low, high = interval(hits, kind)
            cells.append(f"{hits.mean():.0%} ({low:.0%} to {high:.0%})")
        rows.append([*cells, f"{np.median(own['way']):.2f}"])
    return markdown_table(titles, rows)


CROSSOVER = Crossover("beyond-crossover")
