"""Modules with gradients of their own making: custom autograd functions, and passes computed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from network_kinds import naive_jacobian
from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SMGAbs, SMGRms, SMGSum


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


class ThriceAsSteep(torch.autograd.Function):
    """The identity, with a gradient that no value tells of."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * gradient


class TwoBranches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.one(x)) + self.combined(torch.tanh(self.two(x)))

    def combined(self, x: Tensor) -> Tensor:
        return Doubled.apply(x)


class SteepBranch(TwoBranches):
    def combined(self, x: Tensor) -> Tensor:
        return ThriceAsSteep.apply(x)


def at_the_end() -> FlatNetwork:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return FlatNetwork(module, forward=lambda module, x: Doubled.apply(module(x)))


CASES: list[Callable[[], FlatNetwork]] = [
    at_the_end,
    lambda: FlatNetwork(TwoBranches()),
    lambda: FlatNetwork(SteepBranch()),
]


@pytest.mark.parametrize("make", CASES, ids=["at the end", "a branch", "another gradient"])
@pytest.mark.parametrize("number", [1, 3])
def test_gradients_are_the_modules_own(make: Callable[[], FlatNetwork], number: int) -> None:
    torch.manual_seed(0)
    network = make()
    parents = torch.randn(number, network.num_params, dtype=torch.float64)
    experiences = torch.randn(5, 3, dtype=torch.float64)
    exact = torch.stack([naive_jacobian(network, genome, experiences) for genome in parents])
    summed = SMGSum(network, sigma=0.1)
    found = summed.sensitivity(parents, experiences=experiences)
    torch.testing.assert_close(found, exact.sum(1).square().sum(1).sqrt())
    assert summed.plan is not None
    assert summed.plan.batching == "looped"
    found = SMGAbs(network, sigma=0.1).sensitivity(parents, experiences=experiences)
    torch.testing.assert_close(found, exact.abs().mean(1).square().sum(1).sqrt())
    found = SMGRms(network, sigma=0.1, probes=None).sensitivity(parents, experiences=experiences)
    torch.testing.assert_close(found, exact.square().mean(1).sum(1).sqrt())
    _, info = SMGSO(network, sigma=0.1)(parents, experiences=experiences, generator=1, return_info=True)
    delta = GaussianMutation(sigma=0.1)(torch.zeros_like(parents), generator=1)
    rows = exact.flatten(1, 2)
    product = 2 / 5 * torch.einsum("nrp,nrq,nq->np", rows, rows, delta)
    torch.testing.assert_close(info.sensitivity, product.abs().sqrt())


def test_a_first_call_without_gradients_decides_nothing_else() -> None:
    network = FlatNetwork(SteepBranch())
    with torch.inference_mode():
        network(torch.randn(3, network.num_params), torch.randn(3, 5, 3))
    parents, experiences = torch.randn(3, network.num_params), torch.randn(5, 3)
    exact = torch.stack([naive_jacobian(network, genome, experiences) for genome in parents])
    found = SMGSum(network, sigma=0.1).sensitivity(parents, experiences=experiences)
    torch.testing.assert_close(found, exact.sum(1).square().sum(1).sqrt())


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(checkpoint(lambda y: torch.tanh(self.one(y)), x, use_reentrant=False))


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("operator", [SMGSum, SMGAbs, SMGRms, SMGSO])
def test_a_pass_that_is_computed_again_is_refused(operator: Any, number: int) -> None:
    """The second time it would see the module's own weights, and give gradients of those."""
    op = operator(Checkpointed(), sigma=0.1)
    parents, experiences = torch.randn(number, op.network.num_params), torch.randn(5, 3)
    with pytest.raises(ValueError, match=r"checkpoint.*turn it off"):
        op(parents, experiences=experiences)
    _, info = SMR(op.network, divergence=0.1)(parents, experiences=experiences, return_info=True)
    assert info.status == ["converged"] * number
