"""The plan of a network: found out once, readable, open to another choice, not spoilt by a bad moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation, SMGAbs, SMGSum
from safe_mutation.batched_network import BatchedNetwork
from safe_mutation.plan import CHOICES, Plan


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_it_is_unknown_at_first_and_then_says_everything() -> None:
    op = SMGAbs(small(), sigma=0.1)
    assert op.plan == Plan()
    op(op.network.flatten(), experiences=torch.rand(5, 3), generator=1)
    assert op.plan.row_sums == "linear layers"
    assert op.plan.outputs == 2
    assert "row_sums='linear layers'" in repr(op.plan)
    assert GaussianMutation(sigma=0.1).plan is None


class Written(nn.Module):
    """A network whose passes are so small that its outputs are computed by copies of the genome."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.b(torch.tanh(self.a(x))))


def test_it_is_that_of_the_call_not_of_what_the_call_tries() -> None:
    op = SMGAbs(Written(), sigma=0.1)
    op.sensitivity(op.network.flatten(), experiences=torch.rand(20, 6))
    assert (op.plan.batching, op.plan.row_sums) == ("looped", "linear layers")


@pytest.mark.parametrize("name", ["MLP", "nn.LSTM", "batched function, linear layers"])
def test_another_choice_gives_the_same_numbers(name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    network, parents = kind.network(), kind.genomes(3)
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    call = {"experiences": experiences, "generator": 1}
    module = isinstance(network, FlatNetwork)
    rows = ("mapped", "backward mapped", "one by one") if module else ("copies",)
    for batching in ("mapped", "looped") if module else (None,):
        for row_sums in rows:
            for tangent in CHOICES["tangent"]:
                plan = Plan(batching=batching, row_sums=row_sums, tangent=tangent)
                other: Any = (
                    FlatNetwork(kind.make().double(), plan=plan) if module else BatchedNetwork(network, plan)
                )
                rtol = 1e-3 if tangent == "central difference" else 1e-6
                for make in (SMGAbs, SMGSum, SMGSO):
                    expected, op = make(network, sigma=0.1), make(other, sigma=0.1)
                    torch.testing.assert_close(
                        op(parents, **call), expected(parents, **call), rtol=rtol, atol=1e-6
                    )
                assert (other.plans.latest.row_sums, other.plans.latest.tangent) == (row_sums, tangent)


def failing_once(
    error: Callable[[], Exception], at: Callable[[Tensor], bool]
) -> Callable[[Tensor, Tensor], Tensor]:
    """A network of one linear layer that fails at the first call for which ``at`` holds."""
    failed = []

    def network(params: Tensor, x: Tensor) -> Tensor:
        if not failed and at(params):
            failed.append(True)
            raise error()
        return torch.tanh(x @ params.view(-1, 3, 2))

    return network


LACKS = [
    lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    lambda: RuntimeError("CUDA error: out of memory"),
    lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    lambda: MemoryError("no more"),
    lambda: torch.OutOfMemoryError("CUDA out of memory"),
]


@pytest.mark.parametrize("error", LACKS, ids=["processor", "CUDA", "cuBLAS", "python", "gpu"])
@pytest.mark.parametrize("make", [SMGAbs, SMGSum, SMGSO])
def test_a_lack_of_memory_is_passed_on_and_not_remembered(make: Any, error: Callable[[], Exception]) -> None:
    """Wherever it strikes, at the first call or later, the next call is what it would have been."""
    parents, experiences = torch.rand(3, 6), torch.rand(5, 3)
    expected_op = make(failing_once(error, lambda p: False), sigma=0.1)
    expected = expected_op(parents, experiences=experiences, generator=1)
    for strike in range(12):
        calls: list[int] = []
        op = make(failing_once(error, lambda p, c=calls, s=strike: c.append(1) or len(c) > s), sigma=0.1)
        try:
            child = op(parents, experiences=experiences, generator=1)
        except (RuntimeError, MemoryError) as raised:
            assert type(raised) is type(error())
            assert "chunk_size" in str(raised)
            child = op(parents, experiences=experiences, generator=1)
        assert torch.equal(child, expected)
        assert op.plan == expected_op.plan


def test_unknown_ways() -> None:
    with pytest.raises(
        ValueError, match=r"expected tangent to be one of \('forward mode', .*, got 'backwards'"
    ):
        Plan(tangent="backwards")


class Sampling(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer, self.how, self.h = nn.Linear(3, 2), how, torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if self.how == "dropout":
            return nn.functional.dropout(y, 0.05)
        if self.how == "noise":
            return y + 1e-3 * torch.randn_like(y)
        if self.how == "state":
            self.h = torch.tanh(y.mean(0) + self.h)
            return y + self.h
        return torch.distributions.Categorical(logits=y).sample()[:, None].float() + y


@pytest.mark.parametrize("how", ["dropout", "noise", "state", "sample"])
def test_what_answers_differently_is_refused_with_the_cure(how: str) -> None:
    module = Sampling(how)
    state = torch.random.get_rng_state()
    for make in (SMGSum, SMGAbs, SMGSO):
        op = make(module, sigma=0.1)
        with pytest.raises(ValueError, match=r"got others when asked again: .*forward="):
            op(op.network.flatten(), experiences=torch.ones(30, 3), generator=1)
    assert torch.equal(torch.random.get_rng_state(), state)

    def mean(module: nn.Module, x: Tensor) -> Tensor:
        return module.layer(x)

    op = SMGSum(FlatNetwork(module, forward=mean), sigma=0.1)
    op(op.network.flatten(), experiences=torch.ones(30, 3), generator=1)


def test_functions_that_answer_differently() -> None:
    op = SMGSum(lambda w, x: x @ w.view(-1, 3, 2) + torch.rand(1), sigma=0.1)
    with pytest.raises(ValueError, match="when asked again"):
        op(torch.rand(2, 6), experiences=torch.rand(5, 3), generator=1)
