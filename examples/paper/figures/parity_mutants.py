"""Figure S2: how much of a solution's performance survives a mutation by each operator.

Every solution of Recurrent Parity, whichever method evolved it, is mutated by every operator;
performance is the number of bit strings out of sixteen that a mutant still classifies correctly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import mannwhitneyu
from tqdm import tqdm

from evolution.atomic_file import read_json
from evolution.domains.recurrent_parity import STRINGS, RecurrentParity
from evolution.individual import Individual
from evolution.randomness import Purpose, stream
from evolution.record import describe
from paper.computation import Computation
from paper.figure import Figure, Job, Request
from paper.figures.success_curves import FIGURE_1
from paper.statistics import Claim
from paper.style import COLOURS, METHODS, SM_G, save_figure
from safe_mutation import make

MUTATIONS = 50  # of each solution by each operator
HISTOGRAM = 1000  # mutations of one solution for figure S2a
UNIT = "SM-G-SO, unit direction"  # as in the published code; figure 1 has the raw one of the text
MUTATORS: dict[str, tuple[str, dict[str, Any]]] = {method: (method, {}) for method in METHODS}
MUTATORS[UNIT] = ("SM-G-SO", {"direction": "unit"})
MUTATOR_COLOURS = COLOURS | {UNIT: "#86efac"}
Correct = dict[str, dict[str, list[list[int]]]]  # evolved by -> mutated by -> solutions x mutations


@dataclass(frozen=True)
class Mutations(Computation):
    """All mutants of all solutions.

    Attributes:
        parents: The solutions, for each method that evolved them.
    """

    parents: dict[str, list[Individual]]

    def compute(self) -> dict[str, Any]:
        """Count the strings that mutants get right."""
        correct: dict[str, Any] = {}
        histogram: dict[str, list[int]] = {}
        for evolved_by in tqdm(METHODS, desc="solutions by method"):
            genomes = [parent.genome for parent in self.parents[evolved_by]]
            correct[evolved_by] = {
                mutator: [self._mutants(mutator, *numbered, MUTATIONS) for numbered in enumerate(genomes)]
                for mutator in MUTATORS
            }
            if evolved_by == "control":
                for mutator in MUTATORS:
                    histogram[mutator] = self._mutants(mutator, 0, genomes[0], HISTOGRAM)
        return {"correct": correct, "histogram": histogram}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        genomes = {
            method: describe(np.stack([p.genome for p in parents])) if parents else "none"
            for method, parents in self.parents.items()
        }
        return {
            "seed": self.seed,
            "mutations": MUTATIONS,
            "histogram": HISTOGRAM,
            "parents": genomes,
            "operators": {mutator: describe(operator_of(mutator)) for mutator in MUTATORS},
        }

    def _mutants(self, mutator: str, number: int, genome: np.ndarray, mutations: int) -> list[int]:
        """How many of the sixteen strings each mutant (mutations,) of a solution still gets right."""
        noise = [stream(self.seed, number, n, Purpose.ROBUSTNESS) for n in range(mutations)]
        parents = np.repeat(genome[None], mutations, axis=0)
        children = operator_of(mutator)(parents, experiences=STRINGS, generator=noise)
        right = RecurrentParity().evaluate(children).behavior
        return (right > 0.5).sum(axis=1).tolist()


def operator_of(mutator: str) -> Any:
    """The operator behind one of the figure's names."""
    method, options = MUTATORS[mutator]
    domain = RecurrentParity()
    return make(method, domain.network, domain=domain.name, **options)


@dataclass(frozen=True)
class ParityMutants(Figure):
    """S2a, correct answers of one solution's mutants, and S2b, the share kept by every solution's."""

    def jobs(self, request: Request) -> list[Job]:
        """All mutants at once.

        Raises:
            ValueError: If a method's solutions are missing, or the control has none.
        """
        parents, result = FIGURE_1.solutions(request.results), self._data(request.results)
        if not parents["control"]:
            folder = FIGURE_1.folder(request.results)
            raise ValueError(f"expected runs solved by the control in {folder}, got none")
        return [Mutations(result, request.seed, parents, command=request.command(self.name))]

    def draw(self, results: Path) -> None:
        """Draw both panels."""
        if self._data(results).exists():
            draw(read_json(self._data(results)), self.folder(results) / self.name)

    def claims(self, results: Path) -> list[Claim]:
        """SM-G mutations keep more performance than the control."""
        if not self._data(results).exists():
            return []
        return claims(read_json(self._data(results))["correct"])

    def _data(self, results: Path) -> Path:
        return self.folder(results) / "robustness.json"


def draw(content: dict[str, Any], stem: Path) -> None:
    """Draw S2a and S2b."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    width = 0.8 / len(MUTATORS)  # of a bar
    for n, mutator in enumerate(MUTATORS):
        colour, shift = MUTATOR_COLOURS[mutator], (n - 2.5) * width
        counts = np.bincount(content["histogram"][mutator], minlength=17)
        left.bar(np.arange(17) + shift, counts, width, color=colour, label=mutator)
        kept = [_kept(content["correct"], evolved_by, mutator) for evolved_by in METHODS]
        x = np.arange(len(METHODS)) + shift
        spread = [1.96 * np.std(k, ddof=1) / np.sqrt(len(k)) for k in kept]
        right.bar(x, [np.mean(k) for k in kept], width, yerr=spread, color=colour, capsize=2)
    left.set(xlabel="strings still correct", ylabel="mutants", title=f"{HISTOGRAM} mutants of one solution")
    left.set_xticks(range(0, 17, 2))
    left.legend(fontsize=8)
    right.set(ylim=(0.4, 1.02), ylabel="performance kept", title=f"{MUTATIONS} mutants of every solution")
    right.set_xticks(np.arange(len(METHODS)), [f"evolved by\n{name}" for name in METHODS])
    save_figure(figure, stem)


def claims(correct: Correct) -> list[Claim]:
    """SM-G mutations keep more of a solution's performance than the control, whichever method evolved it."""
    rows = []
    for mutator in (*SM_G, UNIT):
        kept = {by: (_kept(correct, by, mutator), _kept(correct, by, "control")) for by in METHODS}
        p = max(float(mannwhitneyu(ours, control).pvalue) for ours, control in kept.values())
        means = [f"{np.mean(ours):.3f} against {np.mean(control):.3f}" for ours, control in kept.values()]
        more = all(np.mean(ours) > np.mean(control) for ours, control in kept.values())
        text = f"{mutator} keeps more performance than control, whichever method evolved the solution"
        listed = "; ".join(f"{by}: {mean}" for by, mean in zip(kept, means, strict=True))
        rows.append(
            Claim("S2", text, "p < 0.001", listed, "Mann-Whitney U (largest p)", p, p < 0.001 and more)
        )
    return rows


def _kept(correct: Correct, evolved_by: str, mutator: str) -> np.ndarray:
    """Mean share of correct strings that the mutants of each solution keep."""
    return np.array(correct[evolved_by][mutator]).mean(axis=1) / len(STRINGS)


FIGURE_S2 = ParityMutants("figure-S2")
