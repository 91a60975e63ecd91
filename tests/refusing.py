"""A network and its parents, and whether all operators refuse a call as they should."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from safe_mutation import SMGSO, SMR, FlatNetwork, SMGAbs, SMGSum
from safe_mutation.mutation import Mutation

RNG = np.random.default_rng(5)
INPUTS = RNG.normal(size=(12, 3)).astype(np.float32)


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


P = FlatNetwork(module()).num_params
PARENTS = RNG.normal(size=(4, P)).astype(np.float32)


def operators(network: Any) -> list[Mutation]:
    gradient: list[Mutation] = [kind(network, sigma=0.1) for kind in (SMGSum, SMGAbs, SMGSO)]
    return [*gradient, SMR(network, divergence=0.01)]


def refuses(network: Any, error: type[Exception], message: str, **call: Any) -> None:
    """All operators do, for one parent and for several."""
    given = [call.pop("params")] if "params" in call else [PARENTS[0], PARENTS]
    for op in operators(network):
        for parents in given:
            with pytest.raises(error, match=message):
                op(parents, **{"experiences": INPUTS, "generator": 1} | call)


class Bent(nn.Module):
    """A network whose outputs are made into something else."""

    def __init__(self, bend: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network, self.bend = module(), bend

    def forward(self, x: Tensor) -> Any:
        return self.bend(self.network(x))
