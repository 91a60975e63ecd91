"""Success curves: the share of runs solved over evaluations, ours over the paper's."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

PAPER_CURVES = Path(__file__).parent / "paper_curves.json"
COLOURS = {
    "control": "#6b7280",
    "SM-R": "#a16207",
    "SM-G-ABS": "#7c3aed",
    "SM-G-SUM": "#2563eb",
    "SM-G-SO": "#15803d",
}


def plot_success(figure: str, domain: str, data: dict[str, np.ndarray], budget: int, stem: Path) -> None:
    """Draw one curve per method with its 95 % confidence band and the paper's curve, dashed.

    Args:
        figure: Title.
        domain: Whose curves of the paper to draw.
        data: For each method the evaluations at which its runs were solved, inf for never.
        budget: Evaluations of a run.
        stem: Path of the pictures without ``.png`` and ``.svg``.
    """
    figure_, ax = plt.subplots(figsize=(8.4, 4.5), layout="constrained")
    for method, evaluations in data.items():
        draw_curve(ax, evaluations, budget, method)
    for method, points in json.loads(PAPER_CURVES.read_text())["curves"][domain.replace("-", "_")].items():
        if method in data:
            ax.plot(*np.array(points).T, "--", color=COLOURS[method], linewidth=1, alpha=0.8)
    ax.plot([], [], "k--", linewidth=1, label="the paper's curves")
    ax.set(
        xlabel="evaluations",
        ylabel="share of runs solved",
        xlim=(0, budget),
        ylim=(-0.02, 1.02),
        title=figure,
    )
    figure_.legend(fontsize=8, loc="outside right center")
    ax.grid(alpha=0.25)
    save_figure(figure_, stem)


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and SVG; the same figure gives the same files."""
    plt.rcParams["svg.hashsalt"] = "safemaze"
    figure.savefig(stem.with_suffix(".png"), dpi=120, metadata={"Software": None})
    figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def draw_curve(ax: Axes, evaluations: np.ndarray, budget: int, method: str) -> None:
    """One method's share of runs solved, with Wilson's 95 % interval."""
    number = len(evaluations)
    x = np.concatenate([[0], np.sort(evaluations[evaluations <= budget]), [budget]])
    solved = np.concatenate([np.arange(len(x) - 1), [len(x) - 2]])
    intervals = [binomtest(int(k), number).proportion_ci(method="wilson") for k in solved]
    low, high = np.array([(interval.low, interval.high) for interval in intervals]).T
    ax.step(
        x, solved / number, where="post", color=COLOURS[method], label=f"{method} ({solved[-1]}/{number})"
    )
    ax.fill_between(x, low, high, step="post", color=COLOURS[method], alpha=0.08, linewidth=0)
