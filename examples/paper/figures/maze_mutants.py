"""Which share of the children of every hard-maze solution of figure 3 still solves the maze.

Each solution is mutated a hundred times by each operator, once at the intensities of table S1 and
once with steps as long as the control's at a tenth of its intensity. p is Wilcoxon's signed-rank test of
an operator against the control over all solutions. The paper has no such table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.stats import wilcoxon
from tqdm import tqdm

from evolution.atomic_file import read_json
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CHILDREN, CONTROL_SIGMA, children, same_length
from evolution.individual import Individual
from evolution.record import describe
from paper.computation import Computation
from paper.figure import Figure, Job, Request
from paper.figures.success_curves import FIGURE_3
from paper.markdown import markdown_table
from paper.style import METHODS, SM_G
from safe_mutation import GaussianMutation, make

DOMAIN = BreadcrumbHardMaze()
LENGTHS = ("table S1", "equal length")
Shares = dict[str, dict[str, list[float]]]  # step length -> operator -> share of each solution's children


@dataclass(frozen=True)
class Mutations(Computation):
    """The children of all solutions.

    Attributes:
        parents: The solutions.
    """

    indent: ClassVar[int | None] = 1

    parents: list[Individual]

    def compute(self) -> dict[str, Any]:
        """Evaluate the children."""
        rows: Shares = {length: {} for length in LENGTHS}
        for parent in tqdm(self.parents, desc="solutions"):
            for length, share_by_method in shares(parent, self.seed).items():
                for method, share in share_by_method.items():
                    rows[length].setdefault(method, []).append(share)
        return {"shares": rows}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "domain": describe(DOMAIN) | {"network": repr(DOMAIN.network)},
            "parents": describe(np.stack([parent.genome for parent in self.parents])),
            "operators": {method: describe(operator_of(method)) for method in METHODS},
            "control_sigma": CONTROL_SIGMA,
            "children": CHILDREN,
            "seed": self.seed,
        }


def operator_of(method: str) -> Any:
    """A method's operator at the intensity of table S1."""
    return make(method, DOMAIN.network, domain=DOMAIN.name)


def shares(parent: Individual, seed: int) -> dict[str, dict[str, float]]:
    """For each step length and operator, the share of a parent's children that solve the maze."""
    operators = {
        "table S1": {method: operator_of(method) for method in METHODS},
        "equal length": {"control": GaussianMutation(sigma=CONTROL_SIGMA)}
        | {method: same_length(operator_of(method), parent, seed) for method in SM_G},
    }
    return {
        length: {
            method: float(DOMAIN.evaluate(children(operator, parent, seed)).solved.mean())
            for method, operator in by_method.items()
        }
        for length, by_method in operators.items()
    }


@dataclass(frozen=True)
class MazeMutants(Figure):
    """The shares as a table."""

    def jobs(self, request: Request) -> list[Job]:
        """The children of all solutions at once.

        Raises:
            ValueError: If a method's solutions are missing.
        """
        parents = list(chain.from_iterable(FIGURE_3.solutions(request.results).values()))
        result, command = self._data(request.results), request.command(self.name)
        return [Mutations(result, request.seed, parents, command=command)]

    def tables(self, results: Path) -> dict[str, str]:
        """Mean shares and p-values."""
        data = self._data(results)
        return {self.name: table(read_json(data)["shares"])} if data.exists() else {}

    def _data(self, results: Path) -> Path:
        return self.folder(results) / "shares.json"


def table(shares: Shares) -> str:
    """Mean shares and p-values as a Markdown table."""
    titles = ["operator", "at table S1's intensity", "p", "at equal step length", "p"]
    rows = []
    for method in METHODS:
        cells = [method]
        for length in LENGTHS:
            if method not in shares[length]:
                cells += ["", ""]
                continue
            ours, control = shares[length][method], shares[length]["control"]
            p = "" if method == "control" else f"{wilcoxon(ours, control).pvalue:.2g}"
            cells += [f"{np.mean(ours):.1%}", p]
        rows.append(cells)
    return markdown_table(titles, rows)


MAZE_MUTANTS = MazeMutants("maze-mutants")
