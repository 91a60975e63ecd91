"""Whether it helps to adapt the divergence over a run: two rules against divergences that stay as they are.

All with SM-G-SO, in Recurrent Parity, the hard maze and the Topdown Maze. Both rules are for a whole
population and have a floor; they start at, or around, D = 0.03 and may go from 0.003 to 0.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from beyond import comparison
from beyond.comparison import Runs, finished
from beyond.directions import DIVERGENCES, INCUMBENT
from beyond.finalists import FINALISTS, budget_of
from beyond.race import DOMAIN_NAMES, GUESS, SEMIFINALS
from beyond.study import Study, draw_success
from evolution.algorithm import Algorithm
from evolution.algorithms.group_elites_ga import GroupElitesGA
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.style import save_figure
from paper.table_s2 import settings

PLACES = (*DOMAIN_NAMES, "topdown-maze")
RULES: dict[str, type[SteadyStateGA]] = {
    "1/5 success rule": SuccessRuleGA,
    "group elites": GroupElitesGA,
}
FIXED = {
    f"fixed, {divergence:g}": dataclasses.replace(INCUMBENT, divergence=divergence)
    for divergence in DIVERGENCES
}
STYLES = {
    "1/5 success rule": ("#ea580c", "-"),
    "group elites": ("#0891b2", "-"),
    **{name: (grey, "--") for name, grey in zip(FIXED, ("#d1d5db", "#6b7280", "#111827"), strict=True)},
}


def adaptive(rule: type[SteadyStateGA], domain: str) -> Algorithm:
    """The paper's algorithm in a domain, with a rule."""
    plain = settings(DOMAINS[domain]()).algorithm
    assert isinstance(plain, SteadyStateGA)
    return rule(plain.population_size, plain.tournament_size, plain.removal)


@dataclass(frozen=True)
class Adaptation(Study):
    """Both rules in every domain; fixed divergences are shown as far as they have run there."""

    follows = frozenset({"runs", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each rule in each domain."""
        experiments: dict[Path, Experiment] = {}
        for domain, (name, rule) in product(PLACES, RULES.items()):
            plain = INCUMBENT.experiment(DOMAINS[domain](), request, max_evaluations=budget_of(domain))
            adapted = dataclasses.replace(plain, algorithm=adaptive(rule, domain), guess=GUESS)
            experiments[self._file(request.results, domain, name)] = adapted
        return self.searches(request, experiments)

    def runs(self, results: Path, domain: str) -> dict[str, np.ndarray]:
        """The runs that have finished, of the rules and of the fixed divergences."""
        others = SEMIFINALS if domain in DOMAIN_NAMES else FINALISTS
        fixed = {name: others.file(results, domain, one) for name, one in FIXED.items()}
        return finished({name: self._file(results, domain, name) for name in RULES} | fixed)

    def draw(self, results: Path) -> None:
        """Success curves, a panel for each domain in which a rule has finished."""
        if found := self._finished(results):
            draw(found, self.folder(results) / "adaptation")

    def tables(self, results: Path) -> dict[str, str]:
        """Against the fixed divergences, a table for each domain."""
        found = self._finished(results)
        return {f"adaptation in {domain}": table(runs) for domain, runs in found.items()}

    def _finished(self, results: Path) -> dict[str, dict[str, np.ndarray]]:
        found = {domain: self.runs(results, domain) for domain in PLACES}
        return {domain: runs for domain, runs in found.items() if any(name in runs for name in RULES)}

    def _file(self, results: Path, domain: str, rule: str) -> Path:
        return self.folder(results) / domain / f"{RULES[rule].name}.json"


def table(runs: Runs) -> str:
    """Runs solved, median and the rules' corrected p against each fixed divergence, as a Markdown table.

    Args:
        runs: Of the rules and of the fixed divergences that have finished.
    """
    fixed, rules = ({name: runs[name] for name in names if name in runs} for names in (FIXED, RULES))
    compared = comparison.table(["D"], {name: [name] for name in rules}, rules, fixed, reference="{}")
    if len(rules) < len(RULES):
        compared += f"\n{len(rules)} of {len(RULES)} rules have finished.\n"
    return compared


def draw(runs: Mapping[str, Mapping[str, np.ndarray]], stem: Path) -> None:
    """Draw the curves of each domain."""
    figure, axes = plt.subplots(
        1, len(runs), figsize=(5.2 * len(runs), 3.8), layout="constrained", squeeze=False
    )
    for ax, (domain, found) in zip(axes[0], runs.items(), strict=True):
        for name, evaluations in found.items():
            colour, line = STYLES[name]
            draw_success(ax, evaluations, budget_of(domain), color=colour, linestyle=line, label=name)
        ax.set(title=domain, xlabel="evaluations", ylabel="share of runs solved")
        ax.legend(fontsize=8, loc="lower right")
        ax.grid(alpha=0.25)
    save_figure(figure, stem)


ADAPTATION = Adaptation("beyond-adaptation")
