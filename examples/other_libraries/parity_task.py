"""Recurrent Parity as a task for any library: genomes in, fitness out.

A network reads four bits, one at a time, and says whether the number of ones is odd (paper, section 4).
"""

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from safe_mutation import FlatNetwork

STRINGS = np.array(list(itertools.product([0, 1], repeat=4)), dtype=np.float32)[:, :, None]  # (16, 4, 1)
PARITY = STRINGS.sum(axis=(1, 2)).astype(int) % 2


class ParityModule(nn.Module):
    """Two recurrent layers of 20 units: bits (I, 4, 1) to the probabilities (I, 2) of even and odd."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.RNN(1, 20, num_layers=2, batch_first=True)
        self.output = nn.Linear(20, 2)

    def forward(self, bits: Tensor) -> Tensor:
        """Classify after the last bit."""
        states, _ = self.recurrent(bits)
        return self.output(states[:, -1]).softmax(-1)


class RecurrentParity:
    """Evaluates genomes, counts them, and notices the first that solves the task.

    Attributes:
        network: Of P = 1,342 weights, as a function of genomes.
        experiences: (16, 4, 1), all strings there are: what every parent has met.
        evaluations: Genomes evaluated so far.
        solved_at: The number of the first that classifies all strings correctly, None before.
        best: The highest fitness so far.
    """

    name = "Recurrent Parity"
    experiences = STRINGS

    def __init__(self) -> None:
        self.network = FlatNetwork(ParityModule())
        self.evaluations = 0
        self.solved_at: int | None = None
        self.best = -np.inf

    def initial_genomes(self, number: int, seed: int) -> np.ndarray:
        """Genomes (number, P), float32, as PyTorch initialises the network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return np.stack([self.network.flatten(ParityModule()).numpy() for _ in range(number)])

    def evaluate(self, genomes: np.ndarray) -> np.ndarray:
        """Fitness (N,) of genomes (N, P): the mean log-likelihood of the sixteen parities, at most 0."""
        right = self.right(genomes)
        fitness: np.ndarray = np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean(axis=1)
        solves = (right > 0.5).all(axis=1)
        if self.solved_at is None and solves.any():
            self.solved_at = self.evaluations + 1 + int(solves.argmax())
        self.evaluations += len(genomes)
        self.best = max(self.best, float(fitness.max()))
        return fitness

    def right(self, genomes: np.ndarray) -> np.ndarray:
        """Probability (N, 16) that each genome gives to the true parity of each string."""
        inputs = np.broadcast_to(STRINGS, (len(genomes), *STRINGS.shape))
        outputs: np.ndarray = self.network(np.asarray(genomes, dtype=np.float32), inputs)
        return outputs[:, np.arange(16), PARITY]
