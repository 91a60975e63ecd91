"""Evaluate genomes on Recurrent Parity: all bit strings of four, all genomes, in one forward pass."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from evolution.domains.breadcrumb_hard_maze import Evaluation
from evolution.networks.feed_forward import ParityNetwork

STRINGS = np.array(list(itertools.product([0, 1], repeat=4)), dtype=np.float32)[:, :, None]  # (16, 4, 1)
LABELS = STRINGS.sum(axis=(1, 2)).astype(int) % 2
SMALLEST = np.finfo(np.float32).tiny  # keeps the logarithm of a probability that underflowed finite


def evaluate_parity(network: ParityNetwork, genomes: np.ndarray) -> Evaluation:
    """Fitness of genomes (N, P): minus the mean negative log-likelihood of the sixteen parities.

    Solved means that all sixteen are classified correctly. ``behavior`` is the probability (N, 16)
    given to the right class.
    """
    right = probabilities_of_parity(network, genomes)
    fitness = np.log(np.maximum(right, SMALLEST)).mean(axis=1, dtype=np.float64)
    experiences = np.broadcast_to(STRINGS, (len(genomes), *STRINGS.shape))
    solved = np.all(right > 0.5, axis=1)
    return Evaluation(fitness, solved, experiences, right)


def probabilities_of_parity(network: ParityNetwork, genomes: np.ndarray) -> np.ndarray:
    """Probability (N, 16) that each genome gives to the true parity of each string."""
    with torch.inference_mode():
        outputs = network(torch.from_numpy(genomes), torch.from_numpy(STRINGS)).numpy()
    if network.outputs == 1:  # the probability of odd
        return np.where(LABELS, outputs[:, :, 0], 1 - outputs[:, :, 0])
    return outputs[:, np.arange(len(LABELS)), LABELS]
