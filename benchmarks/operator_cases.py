"""The networks that operators are timed on, each as the published code has it and as ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import published_method
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.networks.conv_lstm import topdown_network
from evolution.networks.feed_forward import FeedForwardModule, hard_maze_network, large_scale_network
from evolution.networks.parity_rnn import ParityNetwork
from safe_mutation import FlatNetwork, make
from safe_mutation.presets import PRESETS

OPERATORS = ("SM-G-SUM", "SM-G-ABS", "SM-G-SO", "SM-R")
INTENSITY = PRESETS["breadcrumb-hard-maze"].intensity
MAZE, PARITY, TOPDOWN = hard_maze_network(), ParityNetwork(), topdown_network()


@dataclass(frozen=True)
class Net:
    """A network twice: as the published code has it and as ours; and the shape of its experiences.

    With ``distinct`` the steps of its one sequence are so many different pictures, of bytes, again and again.
    """

    module: Callable[[], nn.Module]
    ours: Callable[[nn.Module], Any]
    experiences: tuple[int, ...]
    parents: tuple[int, ...] = (1, 20, 100, 250)
    distinct: int | None = None


def published_selu(x: Tensor) -> Tensor:
    """SELU as the published network composes it of older functions."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * torch.relu(x) + scale * alpha * nn.functional.elu(-torch.relu(-x))


def large(depth: int, width: int) -> Net:
    """A network of the large-scale study."""
    network = large_scale_network(depth, width)
    return Net(network.module, lambda _: network, (100, 11), (1, 20, 100))


def sequence() -> nn.Module:
    """The hard-maze network as most people would write it."""
    layers: list[nn.Module] = []
    for a, b in pairwise(MAZE.widths[:-1]):
        layers += [nn.Linear(a, b), nn.SELU()]
    return nn.Sequential(*layers, nn.Linear(MAZE.widths[-2], MAZE.widths[-1]), nn.Sigmoid())


NETS = {
    "maze": Net(MAZE.module, lambda _: MAZE, (100, 11)),
    "maze, SELU as published": Net(
        lambda: FeedForwardModule(MAZE.widths, published_selu, 0), lambda _: MAZE, (100, 11)
    ),
    "maze, nn.Sequential": Net(sequence, FlatNetwork, (100, 11)),
    "32 x 125": large(32, 125),
    "64 x 125": large(64, 125),
    "101 x 48": large(101, 48),
    "parity RNN": Net(PARITY.module, lambda _: PARITY, (16, 4, 1)),
    "conv-LSTM": Net(TOPDOWN.module, FlatNetwork, (1, 40, 64, 64), (1, 4)),
    "conv-LSTM, repeated pictures": Net(
        TOPDOWN.module, lambda _: TOPDOWN, (1, 40, 64, 64), (1, 4), distinct=12
    ),
}


class Case:
    """One operator on one network: a child of the published method, or N children of ours, at a call."""

    def __init__(self, net: str, operator: str) -> None:
        torch.manual_seed(0)
        self.module, self.operator = NETS[net].module(), operator
        flat = torch.cat([p.detach().reshape(-1) for p in self.module.parameters()]).numpy()
        self.network = NETS[net].ours(self.module)
        if self.network.num_params != len(flat):
            raise AssertionError(f"{net}: {self.network.num_params} weights here, {len(flat)} there")
        rng = np.random.default_rng(0)
        most = max(NETS[net].parents)
        self.parents = flat + 0.05 * rng.standard_normal((most, len(flat)), dtype=np.float32)
        self.experiences = torch.from_numpy(rng.random(NETS[net].experiences, dtype=np.float32))
        if (distinct := NETS[net].distinct) is not None:
            order = rng.integers(distinct, size=self.experiences.shape[1])
            self.experiences = (255 * self.experiences[:, order]).to(torch.uint8)
        self.op: Any = make(operator, self.network, intensity=INTENSITY[operator])
        self.rng = rng

    def published(self) -> Any:
        """One child."""
        delta = np.float32(0.05) * self.rng.standard_normal(self.parents.shape[1], dtype=np.float32)
        arguments = self.module, self.parents[0], self.experiences, delta
        if self.operator == "SM-R":
            return published_method.rescale(*arguments, INTENSITY["SM-R"])
        return published_method.mutate(self.operator, *arguments)

    def ours(self, number: int) -> Any:
        """As many children, of as many parents."""
        seed = int(self.rng.integers(2**31))
        return self.op(
            self.parents[:number],
            experiences=self.experiences,
            generator=seed,
            return_info=self.operator == "SM-R",
        )

    def check(self) -> None:
        """Both ways must agree on the sensitivity before they are compared for speed."""
        if self.operator not in ("SM-G-SUM", "SM-G-ABS"):
            return
        compute = (
            published_method.sum_sensitivity
            if self.operator == "SM-G-SUM"
            else published_method.abs_sensitivity
        )
        expected = compute(self.module, self.parents[0], self.experiences)
        found = self.op.sensitivity(self.parents[0], experiences=self.experiences)
        worst = np.abs(found - expected).max() / expected.max()
        if worst > 1e-3:
            raise AssertionError(f"sensitivities differ by {worst:.1e}")
