"""Figure S2: how much of a solution's performance survives a mutation by each operator.

Every solution of Recurrent Parity, whichever method evolved it, is mutated by every operator;
performance is the number of bit strings out of sixteen that a mutant still classifies correctly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import mannwhitneyu
from tqdm import tqdm

from evolution import checkpoint
from evolution.domains.recurrent_parity import STRINGS, probabilities_of_parity
from evolution.experiment import versions
from evolution.networks.feed_forward import ParityNetwork
from evolution.randomness import Purpose, stream
from evolution.replicates import solutions
from paper.statistics import SM_G, Claim
from paper.success_plot import COLOURS, save_figure
from paper.table_s2 import OPERATORS
from safe_mutation import make

MUTATIONS = 50  # of each solution by each operator
HISTOGRAM = 1000  # mutations of one solution for figure S2a
UNIT = "SM-G-SO, unit direction"  # as in the published code; figure 1 has the raw one of the text
MUTATORS: dict[str, tuple[str, dict[str, Any]]] = {operator: (operator, {}) for operator in OPERATORS}
MUTATORS[UNIT] = ("SM-G-SO", {"direction": "unit"})
MUTATOR_COLOURS = COLOURS | {UNIT: "#86efac"}
Correct = dict[str, dict[str, list[list[int]]]]  # evolved by -> mutated by -> solutions x mutations


def compute(folder: Path, result: Path, seed: int, command: str) -> None:
    """Mutate the solutions in a folder of figure 1 and write how many strings stay correct.

    Raises:
        ValueError: If a method's solutions are missing.
    """
    settings = {"seed": seed, "mutations": MUTATIONS}
    if checkpoint.is_finished(result, settings):
        return
    parents = solutions(folder)
    correct: dict[str, Any] = {}
    histogram: dict[str, list[int]] = {}
    for evolved_by in tqdm(OPERATORS, desc="solutions by method"):
        genomes = [parent.genome for parent in parents[evolved_by]]
        correct[evolved_by] = {
            mutator: [mutants(mutator, genome, seed, n, MUTATIONS) for n, genome in enumerate(genomes)]
            for mutator in MUTATORS
        }
        if evolved_by == "control":
            for mutator in MUTATORS:
                histogram[mutator] = mutants(mutator, genomes[0], seed, 0, HISTOGRAM)
    content = {
        "command": command,
        "settings": settings | {"versions": versions()},
        "correct": correct,
        "histogram": histogram,
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_atomically(result, (json.dumps(content) + "\n").encode())


def mutants(mutator: str, genome: np.ndarray, seed: int, number: int, mutations: int) -> list[int]:
    """How many of the sixteen strings each mutant (mutations,) of a solution still gets right."""
    network = ParityNetwork()
    operator_name, options = MUTATORS[mutator]
    operator = make(operator_name, network, domain="recurrent-parity", **options)
    noise = [stream(seed, number, mutation, Purpose.ROBUSTNESS) for mutation in range(mutations)]
    children = operator(np.repeat(genome[None], mutations, axis=0), experiences=STRINGS, generator=noise)
    return (probabilities_of_parity(network, children) > 0.5).sum(axis=1).tolist()


def draw(result: Path, stem: Path) -> None:
    """Draw S2a, correct answers of one solution's mutants, and S2b, the share kept by every solution's."""
    content = json.loads(result.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    width = 0.8 / len(MUTATORS)  # of a bar
    for n, mutator in enumerate(MUTATORS):
        colour, shift = MUTATOR_COLOURS[mutator], (n - 2.5) * width
        counts = np.bincount(content["histogram"][mutator], minlength=17)
        left.bar(np.arange(17) + shift, counts, width, color=colour, label=mutator)
        kept = [_kept(content["correct"], evolved_by, mutator) for evolved_by in OPERATORS]
        x = np.arange(len(OPERATORS)) + shift
        spread = [1.96 * np.std(k, ddof=1) / np.sqrt(len(k)) for k in kept]
        right.bar(x, [np.mean(k) for k in kept], width, yerr=spread, color=colour, capsize=2)
    left.set(xlabel="strings still correct", ylabel="mutants", title=f"{HISTOGRAM} mutants of one solution")
    left.set_xticks(range(0, 17, 2))
    left.legend(fontsize=8)
    right.set(ylim=(0.4, 1.02), ylabel="performance kept", title=f"{MUTATIONS} mutants of every solution")
    right.set_xticks(np.arange(len(OPERATORS)), [f"evolved by\n{name}" for name in OPERATORS])
    save_figure(figure, stem)


def claims(result: Path) -> list[Claim]:
    """SM-G mutations keep more of a solution's performance than the control, whichever method evolved it."""
    correct = json.loads(result.read_text())["correct"]
    found = []
    for operator in (*SM_G, UNIT):
        kept = {by: (_kept(correct, by, operator), _kept(correct, by, "control")) for by in OPERATORS}
        p = max(float(mannwhitneyu(ours, control).pvalue) for ours, control in kept.values())
        means = [f"{np.mean(ours):.3f} against {np.mean(control):.3f}" for ours, control in kept.values()]
        more = all(np.mean(ours) > np.mean(control) for ours, control in kept.values())
        text = f"{operator} keeps more performance than control, whichever method evolved the solution"
        listed = "; ".join(f"{by}: {mean}" for by, mean in zip(kept, means, strict=True))
        found.append(
            Claim("S2", text, "p < 0.001", listed, "Mann-Whitney U (largest p)", p, p < 0.001 and more)
        )
    return found


def _kept(correct: Correct, evolved_by: str, operator: str) -> np.ndarray:
    """Mean share of correct strings that the mutants of each solution keep."""
    return np.array(correct[evolved_by][operator]).mean(axis=1) / len(STRINGS)
