"""The generated parts of the pages of results: every claim of the paper against the data that are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evolution.atomic_file import write_atomically
from paper.figure import Figure
from paper.statistics import table

MARKS = ("<!-- {}: written by reproduce.py -->\n", "<!-- end of {} -->\n")


def write_pages(results: Path, figures: Iterable[Figure]) -> None:
    """Print the table of claims, and put it and the figures' tables into the READMEs of the results."""
    figures = list(figures)
    claims = table([claim for figure in figures for claim in figure.claims(results)])
    print(claims)
    fill_in(results / Figure.page, "claims", claims)
    for figure in figures:
        for block, text in figure.tables(results).items():
            fill_in(results / figure.page, block, text)


def fill_in(readme: Path, block: str, text: str) -> None:
    """Put text between a README's marks of that block, which are appended where there are none.

    Raises:
        ValueError: If the second mark is missing, so that nobody knows what to leave; nothing is changed.
    """
    start, end = (mark.format(block) for mark in MARKS)
    content = readme.read_text("utf-8") if readme.exists() else ""
    if start not in content:
        content += "\n" * (content != "" and not content.endswith("\n")) + start + end
    before, _, rest = content.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"expected {end.strip()!r} after {start.strip()!r} in {readme}, got none")
    readme.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(readme, (before + start + text + end + after).encode())
