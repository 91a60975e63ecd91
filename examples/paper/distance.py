"""How far success curves lie from the paper's: the largest gap between the two (Kolmogorov and Smirnov's)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAPER_CURVES = Path(__file__).parent / "paper_curves.json"
GRID = 401  # points of a curve to compare at


@dataclass(frozen=True)
class PaperCurve:
    """The share of runs that a method of the paper had solved after so many evaluations.

    Attributes:
        evaluations: (G,), evenly spaced from 0.
        share: (G,), read off the paper's figure, straight between the points read.
    """

    evaluations: np.ndarray
    share: np.ndarray

    def until(self, evaluations: float) -> PaperCurve:
        """The beginning of the curve."""
        there = self.evaluations <= evaluations
        return PaperCurve(self.evaluations[there], self.share[there])

    def gap(self, solved_at: np.ndarray) -> np.ndarray:
        """The largest difference between this curve and the share of runs solved.

        Args:
            solved_at: Evaluations (..., R) at which runs were solved, inf for never.

        Returns:
            The gaps (...), from 0 to 1.
        """
        return np.abs(self._shares(solved_at) - self.share).max(axis=-1)

    def gaps_by_chance(
        self, runs: int, paper_runs: int, number: int, chance: np.random.Generator
    ) -> np.ndarray:
        """Gaps between the curves of so many runs and of the paper's number, both drawn from this one.

        The paper's curve is one of few runs, too: even its own experiment, run again, would have such gaps.

        Returns:
            Gaps (number,).
        """
        ours, theirs = (self._shares(self.draw((number, size), chance)) for size in (runs, paper_runs))
        return np.abs(ours - theirs).max(axis=-1)

    def draw(self, shape: tuple[int, ...], chance: np.random.Generator) -> np.ndarray:
        """Evaluations at which runs would be solved if the curve were the truth, inf for never."""
        places = np.searchsorted(np.maximum.accumulate(self.share), 1 - chance.random(shape))
        return np.append(self.evaluations, np.inf)[places]

    def _shares(self, solved_at: np.ndarray) -> np.ndarray:
        """Shares (..., G) of runs (..., R) solved at the points of the curve."""
        shares = np.empty((*solved_at.shape[:-1], len(self.evaluations)))
        for k, evaluations in enumerate(self.evaluations):
            shares[..., k] = (solved_at <= evaluations).mean(axis=-1)
        return shares


def paper_curves(domain: str) -> dict[str, PaperCurve]:
    """The paper's curves of a domain by method; empty where it shows none."""
    read = json.loads(PAPER_CURVES.read_text())["curves"].get(domain.replace("-", "_"), {})
    curves = {}
    for method, points in read.items():
        evaluations, share = np.array(points, dtype=float).T
        grid = np.linspace(0, evaluations[-1], GRID)
        curves[method] = PaperCurve(grid, np.interp(grid, evaluations, share))
    return curves
