"""Which first-person maze was the paper's: what it leaves open, set otherwise, against its success curves.

Successive halving: the settings whose curves lie nearest to the paper's go on to the next, longer round. Each
call of the command runs one round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.experiment import Experiment
from evolution.result import solved_at
from paper.distance import paper_curves
from paper.figure import Figure, Job, Request
from paper.markdown import markdown_table
from paper.statistics import summary
from paper.table_s2 import experiment

RUNS = 8
QUICK = FirstPersonMaze().variant("easy")
SLOW = FirstPersonMaze(move_speed=0.08, turn_speed=5.0, heading=0)
SLOWEST = FirstPersonMaze(move_speed=0.07, turn_speed=4.0, heading=0)
SETTINGS = {
    "easy": QUICK,
    "raycast": replace(QUICK, move_speed=0.667, turn_speed=24.83),
    "slow": SLOW,
    "slowest": SLOWEST,
    "sideways": replace(QUICK, heading=270),
    "slow-sideways": replace(SLOW, heading=270),
    "slow-thin": replace(SLOW, body_radius=0.01),
    "slow-wide": replace(SLOW, body_radius=0.35),
    "last": replace(QUICK, fitness_of="last"),
    "slow-last": replace(SLOW, fitness_of="last"),
    "slowest-sideways": replace(SLOWEST, heading=270),
    "slowest-wide": replace(SLOWEST, body_radius=0.35),
    "slowest-last": replace(SLOWEST, fitness_of="last"),
}


class Round(NamedTuple):
    """One round of the halving.

    Attributes:
        budget: Evaluations of a run.
        methods: Which run. The paper's control solves nothing in the first 17,000.
        settings: How many take part.
    """

    budget: int
    methods: tuple[str, ...]
    settings: int


ROUNDS = (
    Round(1_000, ("SM-G-SUM",), len(SETTINGS)),
    Round(3_000, ("SM-G-SUM",), 10),
    Round(16_000, ("SM-G-SUM", "control"), 3),
)


@dataclass(frozen=True)
class FirstPersonPilot(Figure):
    """Eight runs for each setting and method."""

    follows = frozenset({"runs"})

    def jobs(self, request: Request) -> list[Job]:
        """The searches of the first round that is not complete."""
        experiments: dict[Path, Experiment] = {}
        for number, one in enumerate(ROUNDS):
            settings = self._taking_part(request.results, number)
            experiments = {
                self._file(request.results, name, method, one.budget): experiment(
                    SETTINGS[name],
                    method,
                    seed=request.seed,
                    runs=request.runs or RUNS,
                    max_evaluations=one.budget,
                )
                for name, method in product(settings, one.methods)
            }
            if not all(file.exists() for file in experiments):
                break
        return self.searches(request, experiments)

    def tables(self, results: Path) -> dict[str, str]:
        """Every round, as far as it has run."""
        tables = [self._table(results, one) for one in ROUNDS]
        return {self.name: "\n".join(table for table in tables if table)} if any(tables) else {}

    def _taking_part(self, results: Path, number: int) -> list[str]:
        """Names of a round's settings: those nearest to the paper in the round before."""
        if number == 0:
            return list(SETTINGS)
        before = ROUNDS[number - 1]
        names = self._taking_part(results, number - 1)
        return sorted(names, key=lambda name: self._gap(results, name, before))[: ROUNDS[number].settings]

    def _gap(self, results: Path, name: str, one: Round) -> float:
        """Sum of the gaps to the paper's curves at the end of a round, of the methods that have run."""
        return sum(
            float(paper_curves(FirstPersonMaze.name)[method].until(one.budget).gap(solved_at(file)))
            for method in one.methods
            if (file := self._file(results, name, method, one.budget)).exists()
        )

    def _table(self, results: Path, one: Round) -> str:
        rows = []
        for name in SETTINGS:
            files = [self._file(results, name, method, one.budget) for method in one.methods]
            if not any(file.exists() for file in files):
                continue
            cells = [", ".join(summary(solved_at(file))) if file.exists() else "" for file in files]
            rows.append((self._gap(results, name, one), [describe(SETTINGS[name]), *cells]))
        if not rows:
            return ""
        titles = [f"up to {one.budget:,} evaluations", *one.methods, "gap"]
        return markdown_table(titles, [[*cells, f"{gap:.2f}"] for gap, cells in sorted(rows)])

    def _file(self, results: Path, name: str, method: str, budget: int) -> Path:
        return self.folder(results) / f"{name}-{method}-{budget}.json"


def describe(maze: FirstPersonMaze) -> str:
    """A setting in a table's words."""
    words = [f"{maze.move_speed:g} squares, {maze.turn_speed:g} degrees a frame"]
    if maze.heading:
        words.append("looks aside at first")
    if maze.body_radius != FirstPersonMaze.body_radius:
        words.append(f"body {maze.body_radius:g}")
    if maze.fitness_of == "last":
        words.append("fitness of the last place")
    return ", ".join(words)


PILOT = FirstPersonPilot("first-person-pilot")
