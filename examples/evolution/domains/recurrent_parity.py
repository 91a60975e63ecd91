"""Recurrent Parity (paper, section 4): all bit strings of four at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from evolution.domain import Domain, Evaluation
from evolution.networks.parity_policy import classify
from evolution.networks.parity_rnn import ParityNetwork

STRINGS = np.array(list(itertools.product([0, 1], repeat=4)), dtype=np.float32)[:, :, None]  # (16, 4, 1)
LABELS = STRINGS.sum(axis=(1, 2)).astype(int) % 2


@dataclass(frozen=True)
class RecurrentParity(Domain):
    """Say whether a string of four bits, seen one at a time, has an odd number of ones.

    Fitness is minus the mean negative log-likelihood of the sixteen parities; solved means that all
    sixteen are classified correctly. ``behavior`` is the probability (16,) given to the right class.

    Attributes:
        outputs: Of the network: 2 as in the published code, or 1 as in the paper's text.
    """

    name: ClassVar[str] = "recurrent-parity"
    variants: ClassVar[dict] = {"one output": {"outputs": 1}}

    outputs: int = 2

    @cached_property
    def network(self) -> ParityNetwork:
        """The paper's two-layer recurrent network."""
        return ParityNetwork(self.outputs)

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Classify the sixteen strings with each of the genomes (N, P)."""
        right, likelihoods = classify(genomes, STRINGS[:, :, 0], LABELS, self.outputs)
        experiences = np.broadcast_to(STRINGS, (len(genomes), *STRINGS.shape))
        return Evaluation(likelihoods.mean(axis=1), np.all(right > 0.5, axis=1), experiences, right)
