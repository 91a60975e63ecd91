"""Studies of something else done with the default's divergence, against divergences that stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from beyond import comparison
from beyond.comparison import Finished, comparable, published, within
from beyond.directions import DIVERGENCES, INCUMBENT
from beyond.finalists import FINALISTS, budget_of
from beyond.race import DOMAIN_NAMES, GUESS, SEMIFINALS
from beyond.study import COLOURS, Study, draw_success
from evolution.breed import Operator
from evolution.domains import DOMAINS
from evolution.experiment import Experiment
from paper.figure import Job, Request
from paper.style import save_figure

FIXED = {
    f"fixed, {divergence:g}": dataclasses.replace(INCUMBENT, divergence=divergence)
    for divergence in DIVERGENCES
}
OF_THE_PAPER = " of the paper"
GREYS = dict(zip(FIXED, ("#d1d5db", "#6b7280", "#111827"), strict=True))


def fixed(results: Path, domain: str) -> dict[str, Path]:
    """The results of fixed divergences in a domain, 20 runs of each; not all of them need be there."""
    others = SEMIFINALS if domain in DOMAIN_NAMES else FINALISTS
    return {name: others.file(results, domain, one) for name, one in FIXED.items()}


@dataclass(frozen=True)
class Variant:
    """One thing to do otherwise.

    Attributes:
        stem: Of the names of its results.
        colour: Of its curves.
        change: Makes its experiment of the default's.
    """

    stem: str
    colour: str
    change: Callable[[Experiment], Experiment]


def mutated_by(kind: Callable[..., Operator], experiment: Experiment, **settings: Any) -> Experiment:
    """The experiment with another kind of operator, to the same divergence."""
    plain: Any = experiment.operator
    operator = kind(plain.network, divergence=plain.divergence, tolerance=plain.tolerance, **settings)
    return dataclasses.replace(experiment, operator=operator)


@dataclass(frozen=True)
class AgainstFixed(Study):
    """A search for each variant in each domain; fixed divergences are shown as far as they have run there.

    Attributes:
        domains: Names of the domains.
        variants: By what tables and figures call them.
        paper: Methods of the paper to compare with, too, each at its own tuned sigma.
    """

    follows = frozenset({"runs", "first", "max_evaluations"})

    domains: tuple[str, ...]
    variants: Mapping[str, Variant]
    paper: tuple[str, ...] = ()

    def jobs(self, request: Request) -> list[Job]:
        """A search for each variant in each domain."""
        experiments: dict[Path, Experiment] = {}
        for domain, variant in product(self.domains, self.variants.values()):
            plain = INCUMBENT.experiment(DOMAINS[domain](), request, max_evaluations=budget_of(domain))
            changed = dataclasses.replace(variant.change(plain), guess=GUESS)
            experiments[self._file(request.results, domain, variant)] = changed
        return self.searches(request, experiments)

    def draw(self, results: Path) -> None:
        """Success curves with those of fixed divergences, dashed, a panel for each domain with results."""
        found = self._finished(results)
        if not found:
            return
        size = (5.2 * len(found), 3.8)
        figure, axes = plt.subplots(1, len(found), figsize=size, layout="constrained", squeeze=False)
        for ax, (domain, (runs, references, budget)) in zip(axes[0], found.items(), strict=True):
            for name, evaluations in runs.items():
                draw_success(ax, evaluations, budget, color=self.variants[name].colour, label=name)
            for name, evaluations in references.items():
                colour = GREYS.get(name) or COLOURS[name.removesuffix(OF_THE_PAPER)]
                draw_success(ax, evaluations, budget, color=colour, linestyle="--", label=name)
            ax.set(title=domain, xlabel="evaluations", ylabel="share of runs solved")
            ax.legend(fontsize=8)
            ax.grid(alpha=0.25)
        save_figure(figure, self.folder(results) / self._title)

    def tables(self, results: Path) -> dict[str, str]:
        """Runs solved, median and corrected p against each fixed divergence, a table for each domain."""
        labels = {name: [name] for name in self.variants}
        return {
            f"{self._title} in {domain}": comparison.table(["D"], labels, runs, references, reference="{}")
            for domain, (runs, references, _) in self._finished(results).items()
        }

    @property
    def _title(self) -> str:
        return self.name.removeprefix("beyond-")

    def _finished(self, results: Path) -> dict[str, Finished]:
        """By domain the runs that have finished, and those they are compared with.

        No domain in which none has finished; of what they are compared with, what has.
        """
        found = {}
        for domain in self.domains:
            known = fixed(results, domain)
            runs, budget = comparable(self._files(results, domain) | known, budget_of(domain))
            references = {name: runs.pop(name) for name in known if name in runs}
            if runs:
                paper = within(published(results, domain), budget) if self.paper else {}
                references |= {name + OF_THE_PAPER: paper[name] for name in self.paper if name in paper}
                found[domain] = Finished(runs, references, budget)
        return found

    def _files(self, results: Path, domain: str) -> dict[str, Path]:
        return {name: self._file(results, domain, one) for name, one in self.variants.items()}

    def _file(self, results: Path, domain: str, variant: Variant) -> Path:
        return self.folder(results) / domain / f"{variant.stem}.json"
