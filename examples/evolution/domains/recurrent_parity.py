"""Recurrent Parity (paper, section 4): all bit strings of four, all genomes, in one forward pass."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from evolution.domain import Domain, Evaluation
from evolution.networks.parity_rnn import ParityNetwork

STRINGS = np.array(list(itertools.product([0, 1], repeat=4)), dtype=np.float32)[:, :, None]  # (16, 4, 1)
LABELS = STRINGS.sum(axis=(1, 2)).astype(int) % 2
SMALLEST = np.finfo(np.float32).tiny  # keeps the logarithm of a probability that underflowed finite


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
        right = probabilities_of_parity(self.network, genomes)
        fitness = np.log(np.maximum(right, SMALLEST)).mean(axis=1, dtype=np.float64)
        experiences = np.broadcast_to(STRINGS, (len(genomes), *STRINGS.shape))
        return Evaluation(fitness, np.all(right > 0.5, axis=1), experiences, right)


def probabilities_of_parity(network: ParityNetwork, genomes: np.ndarray) -> np.ndarray:
    """Probability (N, 16) that each genome gives to the true parity of each string."""
    with torch.inference_mode():
        outputs = network(torch.from_numpy(genomes), torch.from_numpy(STRINGS)).numpy()
    if network.outputs == 1:  # the probability of odd
        return np.where(LABELS, outputs[:, :, 0], 1 - outputs[:, :, 0])
    return outputs[:, np.arange(len(LABELS)), LABELS]
