"""Success curves (figures 1 and 3): the share of runs solved over evaluations, ours over the paper's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binomtest

from evolution.algorithm import Algorithm
from evolution.domains import DOMAINS
from evolution.individual import Individual
from evolution.parts import parts
from evolution.result import finished, read_champions
from paper.distance import paper_curves
from paper.figure import Figure, Job, Request
from paper.statistics import Claim, alike, faster, more_solved, solved_by, table
from paper.style import COLOURS, METHODS, SM_G, save_figure
from paper.table_s2 import TABLE_S2, experiment
from safe_mutation.presets import PRESETS

Solved = dict[str, np.ndarray]  # method -> evaluations (R,) at which its runs were solved, inf for never


@dataclass(frozen=True)
class SuccessCurves(Figure):
    """One curve for each method in one domain.

    Attributes:
        domain: Name of the domain.
        claims_of: What the paper says of it.
        algorithm: In place of the paper's, table S2's.
    """

    follows = frozenset({"methods", "runs", "first", "max_evaluations"})

    domain: str
    claims_of: Callable[[Solved], list[Claim]]
    algorithm: Algorithm | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that the paper compares here: table S1 has their intensities."""
        return tuple(method for method in METHODS if method in PRESETS[self.domain].intensity)

    def jobs(self, request: Request) -> list[Job]:
        """A search for each method."""
        domain = DOMAINS[self.domain]()
        experiments = {
            self.folder(request.results) / f"{method}.json": experiment(
                domain,
                method,
                seed=request.seed,
                runs=request.runs,
                max_evaluations=request.max_evaluations,
                algorithm=self.algorithm,
            )
            for method in request.methods
            if method in self.methods
        }
        return self.searches(request, experiments)

    def draw(self, results: Path) -> None:
        """Draw the curves, and those of the runs pooled with further ones."""
        if data := self.solved(results):
            self._draw(data, self.folder(results) / self.name)
        if pooled := self.pooled(results):
            self._draw(pooled, results / "more" / f"{self.name}-pooled")

    def claims(self, results: Path) -> list[Claim]:
        """The paper's claims about the methods that have run."""
        return self.claims_of(self.solved(results))

    def tables(self, results: Path) -> dict[str, str]:
        """The claims of the pooled runs."""
        claims = self.claims_of(self.pooled(results))
        return {f"{self.name} pooled": table(claims)} if claims else {}

    def solved(self, results: Path) -> Solved:
        """For each method with a result, the evaluations at which its runs were solved."""
        files = {method: self.folder(results) / f"{method}.json" for method in self.methods}
        return finished(files)

    def pooled(self, results: Path) -> Solved:
        """The runs of the figure together with further ones of other seeds in the folder ``more``."""
        data, more = self.solved(results), self.solved(results / "more")
        return {method: np.concatenate([data[method], more[method]]) for method in data if method in more}

    def solutions(self, results: Path) -> dict[str, list[Individual]]:
        """For each method, the champions that solve the task.

        Raises:
            ValueError: If a method's results are missing, or nothing was solved by any.
        """
        files = {method: parts(self.folder(results) / f"{method}.npz") for method in self.methods}
        if missing := [method for method, own in files.items() if not own]:
            raise ValueError(
                f"expected the solutions of {missing} in {self.folder(results)}: run {self.name} first"
            )
        found = {
            method: [champion for file in own for champion in read_champions(file) if champion.solved]
            for method, own in files.items()
        }
        if not any(found.values()):
            raise ValueError(f"expected solved runs in {self.folder(results)}, got none")
        return found

    def _draw(self, data: Solved, stem: Path) -> None:
        title = f"{self.domain}: {self.name.replace('-', ' ')} of the paper"
        draw_curves(title, self.domain, data, TABLE_S2[self.domain].max_evaluations, stem)


def draw_curves(title: str, domain: str, data: Solved, budget: int, stem: Path) -> None:
    """Draw one curve per method with its 95 % confidence band and the paper's curve, dashed.

    Args:
        title: Of the figure.
        domain: Whose curves of the paper to draw.
        data: What to draw.
        budget: Evaluations of a run.
        stem: Path of the pictures without ``.png`` and ``.svg``.
    """
    figure, ax = plt.subplots(figsize=(8.4, 4.5), layout="constrained")
    for method, evaluations in data.items():
        draw_curve(ax, evaluations, budget, method, COLOURS[method])
    for method, curve in paper_curves(domain).items():
        if method in data:
            ax.plot(curve.evaluations, curve.share, "--", color=COLOURS[method], linewidth=1, alpha=0.8)
    ax.plot([], [], "k--", linewidth=1, label="the paper's curves")
    ax.set(
        xlabel="evaluations",
        ylabel="share of runs solved",
        xlim=(0, budget),
        ylim=(-0.02, 1.02),
        title=title,
    )
    figure.legend(fontsize=8, loc="outside right center")
    ax.grid(alpha=0.25)
    save_figure(figure, stem)


def draw_curve(ax: Axes, evaluations: np.ndarray, budget: int, method: str, colour: str) -> None:
    """One method's share of runs solved, with Wilson's 95 % interval."""
    number = len(evaluations)
    x, solved = success_steps(evaluations, budget)
    intervals = [binomtest(int(k), number).proportion_ci(method="wilson") for k in solved]
    low, high = np.array([(interval.low, interval.high) for interval in intervals]).T
    ax.step(x, solved / number, where="post", color=colour, label=f"{method} ({solved[-1]}/{number})")
    ax.fill_between(x, low, high, step="post", color=colour, alpha=0.08, linewidth=0)


def success_steps(evaluations: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """From which evaluations on, up to the budget, how many runs are solved."""
    solved = np.sort(evaluations[evaluations <= budget])
    return np.concatenate([[0], solved, [budget]]), np.append(np.arange(len(solved) + 1), len(solved))


def parity_claims(data: Solved) -> list[Claim]:
    """Figure 1, Recurrent Parity."""
    levels = dict.fromkeys(SM_G, 0.001) | {"SM-R": 0.05}
    return [
        faster("1", method, data, alpha) for method, alpha in levels.items() if ran(data, method, "control")
    ]


def hard_maze_claims(data: Solved) -> list[Claim]:
    """Figure 3, Breadcrumb Hard Maze."""
    claims = [faster("3", method, data, 0.005) for method in ("SM-G-SO",) if ran(data, method, "control")]
    claims += [
        more_solved("3", "SM-G-ABS", other, data, 60_000)
        for other in ("control", "SM-R")
        if ran(data, "SM-G-ABS", other)
    ]
    claims += [alike("3", method, data) for method in ("SM-G-SUM",) if ran(data, method, "control")]
    return claims + (_hard_maze_counts(data) if ran(data, *METHODS) else [])


def _hard_maze_counts(data: Solved) -> list[Claim]:
    budget = TABLE_S2["breadcrumb-hard-maze"].max_evaluations
    counts = {method: int((found <= budget).sum()) for method, found in data.items()}
    every = [method for method, found in data.items() if np.isfinite(found).all()]
    listed = ", ".join(f"{method} {solved_by(found, budget)}" for method, found in data.items())
    worst = min(counts, key=lambda method: (counts[method], -float(np.median(data[method]))))
    return [
        Claim("3", "only SM-G-ABS solves every run", "20/20", listed, "count", None, every == ["SM-G-ABS"]),
        Claim("3", "SM-R solves the fewest runs", "fewest", listed, "count", None, worst == "SM-R"),
    ]


def ran(data: Solved, *methods: str) -> bool:
    """Whether there are runs of all these methods."""
    return data.keys() >= set(methods)


FIGURE_1 = SuccessCurves("figure-1", "recurrent-parity", parity_claims)
FIGURE_3 = SuccessCurves("figure-3", "breadcrumb-hard-maze", hard_maze_claims)
