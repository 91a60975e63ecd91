"""How much faster a batch of genomes is evaluated than one genome after the other.

    python examples/evaluation_speed.py

The baseline is what one would write first: the weights in an ``nn.Module``, one environment, one
step at a time. Both are timed in turn for about as long, in CPU time of this process, and the
medians compared.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from functools import partial

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from evolution.domains.breadcrumb_hard_maze import DECISION_INTERVAL, Evaluation, evaluate_hard_maze
from evolution.domains.recurrent_parity import evaluate_parity
from evolution.networks.feed_forward import FeedForward, ParityNetwork, hard_maze_network

REPETITIONS = 9


def maze_module() -> nn.Module:
    """The hard maze network as an ordinary module."""
    layers: list[nn.Module] = [nn.Linear(11, 8), nn.SELU()]
    for _ in range(16):
        layers += [nn.Linear(8, 8), nn.SELU()]
    return nn.Sequential(*layers, nn.Linear(8, 2), nn.Sigmoid())


def evaluate_maze_alone(module: nn.Module, env: gym.Env, genome: np.ndarray) -> float:
    """Fitness of one genome in the hard maze, frame by frame."""
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())
    observation, info = env.reset()
    frame, over = 0, False
    with torch.inference_mode():
        while not over:
            if frame % DECISION_INTERVAL == 0:
                action = module(torch.from_numpy(observation)[None])[0].numpy()
            observation, _, over, _, info = env.step(action)
            frame += 1
    return info["fitness"]


class ParityModule(nn.Module):
    """The parity network as an ordinary module."""

    def __init__(self) -> None:
        super().__init__()
        self.cell1, self.cell2 = nn.RNNCell(1, 20), nn.RNNCell(20, 20)
        self.output = nn.Linear(20, 2)

    def forward(self, bit: torch.Tensor, h1: torch.Tensor, h2: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One time step."""
        h1 = self.cell1(bit, h1)
        h2 = self.cell2(h1, h2)
        return torch.softmax(self.output(h2), dim=1), h1, h2


def evaluate_parity_alone(module: nn.Module, genome: np.ndarray) -> float:
    """Fitness of one genome in Recurrent Parity, string by string and bit by bit."""
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())
    likelihoods = []
    with torch.inference_mode():
        for bits in itertools.product([0.0, 1.0], repeat=4):
            h1 = h2 = torch.zeros(1, ParityNetwork.HIDDEN)
            for bit in bits:
                outputs, h1, h2 = module(torch.tensor([[bit]]), h1, h2)
            likelihoods.append(float(outputs[0, int(sum(bits)) % 2].log()))
    return float(np.mean(likelihoods))


def maze_evaluations() -> tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], Evaluation]]:
    """Both ways to evaluate in the hard maze: one genome, and a batch."""
    module, env = maze_module(), gym.make("safemaze/BreadcrumbHardMaze-v0")
    return partial(evaluate_maze_alone, module, env), partial(evaluate_hard_maze, hard_maze_network())


def parity_evaluations() -> tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], Evaluation]]:
    """Both ways to evaluate in Recurrent Parity: one genome, and a batch."""
    return partial(evaluate_parity_alone, ParityModule()), partial(evaluate_parity, ParityNetwork())


CASES: dict[str, tuple[Callable[[], FeedForward | ParityNetwork], Callable]] = {
    "breadcrumb-hard-maze": (hard_maze_network, maze_evaluations),
    "recurrent-parity": (ParityNetwork, parity_evaluations),
}


def compare(domain: str, number: int) -> str:
    """Time both ways for a number of genomes; one line of what was found."""
    make_network, make_evaluations = CASES[domain]
    genomes = make_network().initial_genomes(number, np.random.default_rng(1))
    alone, together = make_evaluations()
    alone(genomes[0])  # the first calls compile
    together(genomes)
    calls = math.ceil(cpu_time(partial(alone, genomes[0])) / cpu_time(partial(together, genomes)))
    times = []
    for repetition in range(REPETITIONS):
        one = cpu_time(partial(alone, genomes[repetition % number]))
        batches = sum(cpu_time(partial(together, genomes)) for _ in range(calls))
        times.append((one, batches / calls / number))
    one, batched = np.median(times, axis=0)
    return (
        f"{domain}: {1 / batched:,.0f} evaluations/s in a batch of {number}, {1 / one:,.0f}/s one nn.Module "
        f"at a time: {one / batched:.0f} times as many"
    )


def cpu_time(work: Callable[[], object]) -> float:
    """Seconds of CPU time that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in CASES:
        for size in (20, 100, 250):
            print(compare(case, size))
