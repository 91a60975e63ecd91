"""Which share of the children of every hard-maze solution of figure 3 still solves the maze.

    python examples/maze_robustness.py

Each solution is mutated a hundred times by each operator, once at the intensities of table S1 and
once with steps as long as the control's at a tenth of its intensity. Prints a Markdown table; p is
Wilcoxon's signed-rank test of an operator against the control over all solutions.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import torch
from scipy.stats import wilcoxon
from tqdm import tqdm

from evolution.algorithms.steady_state_ga import Individual
from evolution.domains.breadcrumb_hard_maze import evaluate_hard_maze
from evolution.domains.hard_maze_picture import CONTROL_SIGMA, children, same_length
from evolution.networks.feed_forward import hard_maze_network
from evolution.replicates import solutions
from paper.statistics import SM_G
from paper.table_s2 import OPERATORS
from safe_mutation import GaussianMutation, make

DOMAIN = "breadcrumb-hard-maze"
SEED = 1


def shares(parents: list[Individual]) -> dict[tuple[str, str], np.ndarray]:
    """For each step length and operator, the share of each parent's children that solve the maze."""
    network = hard_maze_network()
    rows: dict[tuple[str, str], list[float]] = {}
    for parent in tqdm(parents, desc="solutions"):
        operators = {("table S1", name): make(name, network, domain=DOMAIN) for name in OPERATORS}
        operators |= {
            ("equal length", name): same_length(operators["table S1", name], parent, SEED) for name in SM_G
        }
        operators["equal length", "control"] = GaussianMutation(sigma=CONTROL_SIGMA)
        for key, operator in operators.items():
            mutants = children(operator, parent, SEED)
            rows.setdefault(key, []).append(float(evaluate_hard_maze(network, mutants).solved.mean()))
    return {key: np.array(row) for key, row in rows.items()}


def table(found: dict[tuple[str, str], np.ndarray]) -> str:
    """Mean shares and p-values as a Markdown table."""
    lines = ["| operator | at table S1's intensity | p | at equal step length | p |", "|---|---|---|---|---|"]
    for name in OPERATORS:
        cells = [name]
        for length in ("table S1", "equal length"):
            if (length, name) not in found:
                cells += ["", ""]
                continue
            ours, control = found[length, name], found[length, "control"]
            p = "" if name == "control" else f"{wilcoxon(ours, control).pvalue:.2g}"
            cells += [f"{ours.mean():.1%}", p]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    by_method = solutions(Path(__file__).parent / "results" / "figure-3")
    parents = list(chain.from_iterable(by_method.values()))
    print(f"{len(parents)} solutions, 100 children of each by each operator\n\n{table(shares(parents))}")
