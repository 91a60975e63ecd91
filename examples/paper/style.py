"""The paper's methods, how figures look, and how they are saved."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

COLOURS = {
    "control": "#6b7280",
    "SM-R": "#a16207",
    "SM-G-ABS": "#7c3aed",
    "SM-G-SUM": "#2563eb",
    "SM-G-SO": "#15803d",
}
METHODS = tuple(COLOURS)  # the five that the paper compares
SM_G = tuple(method for method in METHODS if method.startswith("SM-G"))


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and SVG; the same figure gives the same files."""
    plt.rcParams["svg.hashsalt"] = "safemaze"
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(stem.with_suffix(".png"), dpi=120, metadata={"Software": None})
    figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)
