"""Whether it helps to adapt the divergence over a run: two rules against divergences that stay as they are.

All with SM-G-SO, in Recurrent Parity, the hard maze and the Topdown Maze. Both rules are for a whole
population and have a floor; they start at, or around, D = 0.03 and may go from 0.003 to 0.3.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from beyond import against_fixed
from beyond.comparison import Runs
from beyond.directions import INCUMBENT
from beyond.finalists import budget_of
from beyond.race import DOMAIN_NAMES, GUESS
from beyond.study import Study
from evolution.algorithm import Algorithm
from evolution.algorithms.group_elites_ga import GroupElitesGA
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.table_s2 import settings

PLACES = (*DOMAIN_NAMES, "topdown-maze")
RULES: dict[str, type[SteadyStateGA]] = {
    "1/5 success rule": SuccessRuleGA,
    "group elites": GroupElitesGA,
}
COLOURS = {"1/5 success rule": "#ea580c", "group elites": "#0891b2"}


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

    def draw(self, results: Path) -> None:
        """Success curves, a panel for each domain in which a rule has finished."""
        if found := self._finished(results):
            against_fixed.draw(results, found, COLOURS, self.folder(results) / "adaptation")

    def tables(self, results: Path) -> dict[str, str]:
        """Against the fixed divergences, a table for each domain."""
        return against_fixed.tables("adaptation", results, self._finished(results), RULES)

    def _finished(self, results: Path) -> dict[str, Runs]:
        return against_fixed.finished_in(PLACES, RULES, partial(self._file, results))

    def _file(self, results: Path, domain: str, rule: str) -> Path:
        return self.folder(results) / domain / f"{RULES[rule].name}.json"


ADAPTATION = Adaptation("beyond-adaptation")
