"""A user's script as mypy --strict sees it (tests/test_types.py); it also runs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from safe_mutation import SMG, FlatNetwork, Mutation, MutationInfo, SMGSum, make

Genome = NDArray[np.float32]


def breed(op: Mutation, parent: Genome, experiences: Genome, seed: int) -> Genome:
    return op(parent, experiences=experiences, generator=seed)


def look(op: SMG, parents: torch.Tensor, experiences: Genome) -> tuple[torch.Tensor, MutationInfo]:
    return op(parents, experiences=experiences, return_info=True)


def mutate(op: Mutation, module: nn.Sequential, experiences: Genome) -> nn.Sequential:
    return op.mutate_(module, experiences=experiences, generator=1)


def sigmas(network: FlatNetwork) -> list[float | None]:
    second_order = make("SM-G-SO", network, domain="breadcrumb-hard-maze")
    assert second_order.direction == "raw"
    return [make("control", intensity=0.1).sigma, make("SM-G-SUM", network, intensity=0.2).sigma]


def reached(network: FlatNetwork, name: str) -> float:
    rescaled = make("SM-R", network, intensity=0.1)
    assert isinstance(rescaled.divergence, float)
    op: Mutation = make(name, network, divergence=0.1)
    return op.tolerance + rescaled.divergence


def keep(parent: Genome, experiences: Genome) -> Genome:
    op = make("SM-G-ABS", nn.Linear(3, 2), intensity=0.1)
    sensitivity: Genome = op.sensitivity(parent, experiences=experiences)
    return op(parent, sensitivity=sensitivity, generator=np.random.default_rng(1))


module = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
network = FlatNetwork(module)
inputs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
genome: Genome = network.flatten().numpy()
safe = SMGSum(network, sigma=0.1)
child = breed(safe, genome, inputs, 1)
children, info = look(safe, torch.from_numpy(np.stack([genome, child])), inputs)
mutate(safe, module, inputs)
keep(genome, inputs)
sigmas(network)
reached(network, "SM-G-RMS")
print(children.shape, info.divergence)
