"""Recurrent Parity (paper, section 4): all bit strings of four at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from evolution.domain import Domain, Evaluation
from evolution.networks.layout import decidable
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
    on_devices: ClassVar[bool] = True
    variants: ClassVar[dict] = {"one output": {"outputs": 1}}

    outputs: int = 2

    @cached_property
    def network(self) -> ParityNetwork:
        """The paper's two-layer recurrent network."""
        return ParityNetwork(self.outputs)

    def evaluate(self, genomes: np.ndarray | Tensor) -> Evaluation:
        """Classify the sixteen strings with each of the genomes (N, P)."""
        if isinstance(genomes, Tensor):
            right, likelihoods = classify_on_device(self.network, genomes)
        else:
            right, likelihoods = classify(genomes, STRINGS[:, :, 0], LABELS, self.outputs)
        experiences = np.broadcast_to(STRINGS, (len(genomes), *STRINGS.shape))
        return Evaluation(likelihoods.mean(axis=1), np.all(right > 0.5, axis=1), experiences, right)


def classify_on_device(network: ParityNetwork, genomes: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What ``parity_policy.classify`` returns, computed by torch where the genomes (N, P) are."""
    genomes = decidable(genomes, network.num_params)
    with torch.inference_mode():
        outputs = network(genomes, torch.from_numpy(STRINGS).to(genomes.device)).cpu().numpy()
    if network.outputs == 1:  # the probability of odd
        right = np.where(LABELS, outputs[:, :, 0], 1 - outputs[:, :, 0])
    else:
        right = outputs[:, np.arange(len(LABELS)), LABELS]
    return right, np.log(np.maximum(right, np.finfo(np.float32).tiny), dtype=np.float64)
