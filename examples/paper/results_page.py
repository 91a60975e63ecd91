"""The tables of the results' README: every claim of the paper against the data that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolution.checkpoint import write_atomically
from paper.figures import intensity_grid, open_choices, robustness, toy_figure
from paper.statistics import Claim, hard_maze_claims, parity_claims, solved_at, table
from paper.table_s2 import OPERATORS

CLAIMS = {"figure-1": parity_claims, "figure-3": hard_maze_claims}
MARKS = ("<!-- {}: written by reproduce.py -->\n", "<!-- end of {} -->\n")


def all_claims(results: Path) -> list[Claim]:
    """Every claim whose data are complete."""
    found: list[Claim] = []
    if (toy_errors := results / "figure-S1" / "errors.json").exists():
        found += toy_figure.claims(toy_figure.load(toy_errors))
    for figure, claims_of in CLAIMS.items():
        data = success_data(results / figure)
        if len(data) == len(OPERATORS):
            found += claims_of(data)
    if (mutants := results / "figure-S2" / "robustness.json").exists():
        found += robustness.claims(mutants)
    return found


def write_tables(results: Path) -> None:
    """Print the table of claims, and put it and the others into the results' README."""
    written = table(all_claims(results))
    print(written)
    readme = results / "README.md"
    fill_in(readme, "claims", written)
    for figure, claims_of in CLAIMS.items():
        if len(pooled := pooled_data(results, figure)) == len(OPERATORS):
            fill_in(readme, f"{figure} pooled", table(claims_of(pooled)))
    if (results / "choices").exists():
        fill_in(readme, "choices", open_choices.table(results))
    if (grid := results / "table-S1" / "table-S1.png").exists():
        fill_in(readme, "intensities", intensity_grid.table(grid.parent))


def fill_in(readme: Path, block: str, text: str) -> None:
    """Put text between a README's marks of that block, which are appended where there are none."""
    start, end = (mark.format(block) for mark in MARKS)
    content = readme.read_text() if readme.exists() else ""
    if start not in content:
        content += start + end
    before, _, rest = content.partition(start)
    _, _, after = rest.partition(end)
    write_atomically(readme, (before + start + text + end + after).encode())


def success_data(folder: Path) -> dict[str, np.ndarray]:
    """For each method with a result, the evaluations at which its runs were solved."""
    files = {operator: folder / f"{operator}.json" for operator in OPERATORS}
    return {operator: solved_at(file) for operator, file in files.items() if file.exists()}


def pooled_data(results: Path, figure: str) -> dict[str, np.ndarray]:
    """The runs of a figure together with further ones of other seeds in the folder ``more``."""
    data, more = success_data(results / figure), success_data(results / "more" / figure)
    return {
        operator: np.concatenate([data[operator], more[operator]]) for operator in data if operator in more
    }
