"""The two winners of the race in every domain: chosen in Recurrent Parity and the hard maze, shown in all.

``race.py`` has the rule that chooses them. They run with another seed than those that chose them, beside the
default operator's setting; in the toy model and the two domains of the race also beside the setting that was
best in other networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt

from beyond.comparison import Finished, comparable, published, table, within
from beyond.directions import CHALLENGER, INCUMBENT, SETTINGS, Setting
from beyond.race import DOMAIN_NAMES, GUESS, SEMIFINALS
from beyond.study import COLOURS, Study, file_name
from beyond.targets import TARGETS, verdicts
from evolution.domains import DOMAINS
from evolution.domains.toy import Toy
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.figures.success_curves import draw_curve
from paper.style import METHODS, save_figure
from paper.table_s2 import TABLE_S2

RUNS = {
    "recurrent-parity": 60,
    "breadcrumb-hard-maze": 60,
    "topdown-maze": 20,
    "first-person-maze": 30,
    "large-scale-101": 20,
}
BUDGETS = {"topdown-maze": TARGETS["topdown-maze"].by}  # elsewhere the paper's
TOY_TASKS = ("easy", "medium", "gradient washout")  # as the paper's text has them
LINES = ("#0f172a", "#ea580c", "#0d9488", "#c026d3")


@dataclass(frozen=True)
class Finalists(Study):
    """The winners and the incumbent in five domains and the toy model."""

    follows = frozenset({"runs", "first", "max_evaluations"})

    def jobs(self, request: Request) -> list[Job]:
        """A search for each in each domain, those of the quickest domain first.

        Raises:
            ValueError: If ``beyond-semifinals`` is not complete.
        """
        fresh = replace(request, seed=request.seed + 2)
        return self.searches(
            request,
            {
                self.file(request.results, place, setting): experiment
                for place, experiment, setting in self._experiments(fresh)
            },
        )

    def draw(self, results: Path) -> None:
        """A figure of success curves for each domain, with those of the paper's methods."""
        for domain in RUNS:
            runs, references, budget = self._finished(results, domain)
            if not runs:
                continue
            figure, ax = plt.subplots(figsize=(8.4, 4.5), layout="constrained")
            for method in METHODS:
                if method in references:
                    draw_curve(ax, references[method], budget, method, COLOURS[method])
            for (name, evaluations), colour in zip(runs.items(), LINES, strict=False):
                draw_curve(ax, evaluations, budget, name, colour)
            ax.set(xlabel="evaluations", ylabel="share of runs solved", xlim=(0, budget), title=domain)
            ax.grid(alpha=0.25)
            figure.legend(fontsize=8, loc="outside right center")
            save_figure(figure, self.folder(results) / domain)

    def tables(self, results: Path) -> dict[str, str]:
        """What was to be reached; and a table for each domain and for each task of the toy model."""
        labels = {one.name: one.label for one in SETTINGS}
        header = ("direction", "exponent", "D")
        places = (*RUNS, *(f"toy, {task}" for task in TOY_TASKS))
        found = {place: self._finished(results, place) for place in places}
        found = {place: finished for place, finished in found.items() if finished.runs}
        if not found:
            return {}
        blocks = {"targets": verdicts({place: found[place] for place in RUNS if place in found})}
        for place, (runs, references, _) in found.items():
            known = {name: labels[name] for name in runs}
            blocks[f"finalists in {place}"] = table(header, known, runs, references)
        return blocks

    def file(self, results: Path, place: str, setting: Setting) -> Path:
        """The result of one setting in a domain or a task of the toy model."""
        return self.folder(results) / file_name(place) / f"{setting.name}.json"

    def _experiments(self, request: Request) -> Iterator[tuple[str, Experiment, Setting]]:
        settings = dict.fromkeys((*SEMIFINALS.best(request.results, 2), INCUMBENT))
        more = settings | {CHALLENGER: None}
        for task, setting in product(TOY_TASKS, more):
            yield f"toy, {task}", setting.experiment(Toy().variant(task), request), setting
        for domain, runs in RUNS.items():
            for setting in more if domain in DOMAIN_NAMES else settings:
                plain = setting.experiment(DOMAINS[domain](), request, runs, budget_of(domain))
                yield domain, replace(plain, guess=GUESS), setting

    def _finished(self, results: Path, place: str) -> Finished:
        """The runs that are there, and those of the paper's methods."""
        files = {one.name: self.file(results, place, one) for one in SETTINGS}
        runs, budget = comparable(files, budget_of(place))
        return Finished(runs, within(published(results, place), budget), budget)


def budget_of(place: str) -> int:
    """Evaluations of a run in a domain or a task of the toy model."""
    return BUDGETS.get(place, TABLE_S2[place.partition(",")[0]].max_evaluations)


FINALISTS = Finalists("beyond-finalists")
