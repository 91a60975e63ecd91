"""What does something else with the default's divergence, against divergences that stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import matplotlib.pyplot as plt

from beyond import comparison
from beyond.comparison import Runs
from beyond.directions import DIVERGENCES, INCUMBENT
from beyond.finalists import FINALISTS, budget_of
from beyond.race import DOMAIN_NAMES, SEMIFINALS
from beyond.study import draw_success
from evolution.result import finished
from paper.style import save_figure

FIXED = {
    f"fixed, {divergence:g}": dataclasses.replace(INCUMBENT, divergence=divergence)
    for divergence in DIVERGENCES
}
GREYS = dict(zip(FIXED, ("#d1d5db", "#6b7280", "#111827"), strict=True))


def fixed(results: Path, domain: str) -> Runs:
    """The runs of fixed divergences, as far as they have run in a domain: 20 of each."""
    others = SEMIFINALS if domain in DOMAIN_NAMES else FINALISTS
    return finished({name: others.file(results, domain, one) for name, one in FIXED.items()})


def finished_in(
    domains: Iterable[str], names: Iterable[str], file: Callable[[str, str], Path]
) -> dict[str, Runs]:
    """The runs that have finished, by domain and name; no domain in which none has.

    Args:
        domains: Where to look.
        names: Of the searches in each.
        file: The result of a domain and a name.
    """
    names = list(names)
    found = {domain: finished({name: file(domain, name) for name in names}) for domain in domains}
    return {domain: runs for domain, runs in found.items() if runs}


def tables(title: str, results: Path, found: Mapping[str, Runs], names: Iterable[str]) -> dict[str, str]:
    """Runs solved, median and corrected p against each fixed divergence, a Markdown table for each domain.

    Args:
        title: Of the study.
        results: Folder of all results.
        found: By domain the runs that have finished.
        names: Of all searches in a domain.
    """
    labels = {name: [name] for name in names}
    return {
        f"{title} in {domain}": comparison.table(["D"], labels, runs, fixed(results, domain), reference="{}")
        for domain, runs in found.items()
    }


def draw(results: Path, found: Mapping[str, Runs], colours: Mapping[str, str], stem: Path) -> None:
    """Success curves with those of fixed divergences, dashed, a panel for each domain.

    Args:
        results: Folder of all results.
        found: By domain the runs that have finished.
        colours: Of their curves.
        stem: Path of the pictures without ``.png`` and ``.svg``.
    """
    size = (5.2 * len(found), 3.8)
    figure, axes = plt.subplots(1, len(found), figsize=size, layout="constrained", squeeze=False)
    for ax, (domain, runs) in zip(axes[0], found.items(), strict=True):
        budget = budget_of(domain)
        for name, evaluations in runs.items():
            draw_success(ax, evaluations, budget, color=colours[name], label=name)
        for name, evaluations in fixed(results, domain).items():
            draw_success(ax, evaluations, budget, color=GREYS[name], linestyle="--", label=name)
        ax.set(title=domain, xlabel="evaluations", ylabel="share of runs solved")
        ax.legend(fontsize=8, loc="lower right")
        ax.grid(alpha=0.25)
    save_figure(figure, stem)
