"""Parents for the studies of children: solutions of the paper's figures, and random genomes."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from evolution.domain import Domain
from evolution.randomness import Purpose, stream
from paper.figures.success_curves import SuccessCurves


def solutions(figure: SuccessCurves, domain: Domain, results: Path, number: int, seed: int) -> np.ndarray:
    """Some of a figure's solutions (N, P), whichever method evolved them.

    Those that no longer solve the task are left out: rollouts may have been rounded otherwise when they
    were evolved.

    Raises:
        ValueError: If a method's results are missing.
    """
    found = list(chain.from_iterable(figure.solutions(results).values()))
    genomes = np.stack([champion.genome for champion in found])
    genomes = genomes[domain.evaluate(genomes).solved]
    order = stream(seed, 0, 0, Purpose.SELECTION).permutation(len(genomes))
    return genomes[order[:number]]


def random_genomes(domain: Domain, number: int, seed: int) -> np.ndarray:
    """Founders (N, P) of a search."""
    return domain.network.initial_genomes(number, stream(seed, 0, 0, Purpose.GENESIS))
