"""How much faster a batch of genomes is evaluated than one genome after the other.

    python benchmarks/evaluation.py [--domains recurrent-parity ...] [--genomes 20 100 250] [--device cuda]

The baseline is what one would write first: the weights in an ``nn.Module``, one environment, one
step at a time. Both are timed in turn for about as long, in CPU time of this process (with a device in
seconds, and the baseline stays on the processor), and the medians compared.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from measuring import cpu_time, wall_time
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.domains.large_scale import LargeScale32, LargeScale64, LargeScale101
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.topdown_maze import TopdownMaze
from evolution.networks.parity_rnn import ParityModule, ParityNetwork

REPETITIONS = 9


def maze_alone(domain: BreadcrumbHardMaze) -> Callable[[np.ndarray], float]:
    """Fitness of one genome in the hard maze, frame by frame."""
    module, env = domain.network.module(), gym.make("safemaze/BreadcrumbHardMaze-v0")

    def evaluate(genome: np.ndarray) -> float:
        fill(module, genome)
        observation, info = env.reset()
        frame, over = 0, False
        with torch.inference_mode():
            while not over:
                if frame % domain.decision_interval == 0:
                    action = module(torch.from_numpy(observation)[None])[0].numpy()
                observation, _, over, _, info = env.step(action)
                frame += 1
        return info["fitness"]

    return evaluate


def parity_alone(domain: RecurrentParity) -> Callable[[np.ndarray], float]:
    """Fitness of one genome in Recurrent Parity, string by string and bit by bit."""
    module = ParityModule(domain.outputs)

    def evaluate(genome: np.ndarray) -> float:
        fill(module, genome)
        likelihoods = []
        with torch.inference_mode():
            for bits in itertools.product([0.0, 1.0], repeat=4):
                h1 = h2 = torch.zeros(1, ParityNetwork.HIDDEN)
                for bit in bits:
                    h1, h2 = module.step(torch.tensor([[bit]]), h1, h2)
                outputs = module.classify(h2)
                likelihoods.append(float(outputs[0, int(sum(bits)) % 2].log()))
        return float(np.mean(likelihoods))

    return evaluate


def picture_maze_alone(domain: TopdownMaze | FirstPersonMaze) -> Callable[[np.ndarray], float]:
    """Fitness of one genome in a maze of pictures, one picture at a time."""
    module = domain.network.module()
    name, settings = domain.environment
    env = gym.make(name, **settings)

    def evaluate(genome: np.ndarray) -> float:
        fill(module, genome)
        picture, info = env.reset()
        state, over = None, False
        with torch.inference_mode():
            while not over:
                features = module.features(torch.from_numpy(picture[None, None, ..., 0]))
                hidden, state = module.lstm(features, state)
                action = torch.sigmoid(module.output(hidden))[0, 0].argmax()
                picture, _, over, _, info = env.step(int(action))
        return info["fitness"]

    return evaluate


def fill(module: nn.Module, genome: np.ndarray) -> None:
    """Put a genome's weights into a module."""
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())


BASELINES: list[tuple[Domain, Callable[..., Callable[[np.ndarray], float]]]] = [
    (BreadcrumbHardMaze(), maze_alone),
    (RecurrentParity(), parity_alone),
    (LargeScale32(), maze_alone),
    (LargeScale64(), maze_alone),
    (LargeScale101(), maze_alone),
    (TopdownMaze(), picture_maze_alone),
    (FirstPersonMaze(), picture_maze_alone),
]
CASES = {domain.name: (domain, partial(alone, domain)) for domain, alone in BASELINES}


def compare(name: str, number: int, device: str | None) -> str:
    """Time both ways for a number of genomes; one line of what came of it."""
    seconds = cpu_time if device is None else wall_time
    domain, make_baseline = CASES[name]
    alone = make_baseline()
    genomes = domain.network.initial_genomes(number, np.random.default_rng(1))
    alone(genomes[0])  # the first calls compile
    batch: Any = genomes if device is None else torch.from_numpy(genomes).to(device)
    domain.evaluate(batch)
    together = partial(domain.evaluate, batch)
    calls = math.ceil(seconds(partial(alone, genomes[0])) / seconds(together))
    times = []
    for repetition in range(REPETITIONS):
        one = seconds(partial(alone, genomes[repetition % number]))
        batches = sum(seconds(together) for _ in range(calls))
        times.append((one, batches / calls / number))
    one, batched = np.median(times, axis=0)
    return (
        f"{name}: {1 / batched:,.0f} evaluations/s in a batch of {number}, {1 / one:,.0f}/s one nn.Module "
        f"at a time: {one / batched:.0f} times as many"
    )


def main() -> None:
    """Compare what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--domains", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--genomes", nargs="+", type=int, default=[20, 100, 250], help="in a batch")
    parser.add_argument("--device", help="where the batch is computed (default: compiled, on the processor)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for case in options.domains:
        for size in options.genomes:
            print(compare(case, size, options.device), flush=True)


if __name__ == "__main__":
    main()
