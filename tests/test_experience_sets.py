"""Experiences of unequal number and length against naive float64 loops over every single one of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import naive_jacobian
from safe_mutation import FlatNetwork, line_search, sensitivity
from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import take

PARENTS = 4


class Recurrent(nn.Module):
    """A layer over a sequence (I, T, 2); outputs after the last step, or after each."""

    def __init__(self, layer: Any, every_step: bool, both_ways: bool = False) -> None:
        super().__init__()
        self.layer = layer(2, 3, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(6 if both_ways else 3, 2)
        self.every_step = every_step

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return torch.tanh(self.head(states if self.every_step else states[:, -1]))


def batched(params: Tensor, x: Tensor) -> Tensor:
    """Two linear layers of stacked weights."""
    first, second = params[:, :6].view(-1, 2, 3), params[:, 6:].view(-1, 3, 2)
    return torch.tanh(x @ first) @ second


def batched_and_squared(params: Tensor, x: Tensor) -> Tensor:
    """The same with a weight that is used twice, so that the shortcut of SM-G-ABS does not hold."""
    return batched(params, x) * params[:, None, :1] ** 2


batched.num_params = batched_and_squared.num_params = 12  # type: ignore[attr-defined]

NETWORKS: dict[str, tuple[Callable[[], Callable], bool]] = {  # and whether experiences are sequences
    "mlp": (lambda: FlatNetwork(nn.Sequential(nn.Linear(2, 3), nn.SELU(), nn.Linear(3, 2)).double()), False),
    "norm": (
        lambda: FlatNetwork(
            nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 2)).double()
        ),
        False,
    ),
    "batched": (lambda: batched, False),
    "batched, squared": (lambda: batched_and_squared, False),
    "gru": (lambda: FlatNetwork(Recurrent(nn.GRU, False).double()), True),
    "gru, every step": (lambda: FlatNetwork(Recurrent(nn.GRU, True).double()), True),
    "lstm, both ways": (lambda: FlatNetwork(Recurrent(nn.LSTM, True, both_ways=True).double()), True),
    "rnn": (lambda: FlatNetwork(Recurrent(nn.RNN, False).double()), True),
}


class Case:
    """A network, parents, sets of unequal size (some experiences twice), and all Jacobians (R, K, P)."""

    def __init__(self, name: str) -> None:
        make_one, sequences = NETWORKS[name]
        torch.manual_seed(1)
        self.network = make_one()
        self.params = torch.randn(PARENTS, self.network.num_params, dtype=torch.float64) * 0.7  # type: ignore[attr-defined]
        self.direction = torch.randn_like(self.params)
        lengths = [3, 1, 4] if sequences else [None]
        stacks = [torch.randn(5, *([t] if t else []), 2, dtype=torch.float64) for t in lengths]
        numbers = np.arange(5 * len(lengths))
        self.sets = ExperienceSets(
            stacks, [numbers[2:3], numbers[-4:], numbers[[0, 3, 0, 4, 0, -1, -1]], numbers]
        )
        single = [x for stack in stacks for x in stack]
        self.own = [[single[i] for i in one] for one in self.sets.sets]
        self.jacobians = [
            torch.cat([naive_jacobian(self.network, w, x[None]) for x in own])
            for w, own in zip(self.params, self.own, strict=True)
        ]

    def outputs(self, params: Tensor, n: int) -> Tensor:
        """Outputs (R, K) of the experiences of parent n, one call for each."""
        return torch.cat([self.network(params[n : n + 1], x[None, None]).flatten(0, -2) for x in self.own[n]])


@pytest.fixture(params=NETWORKS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def assert_close(measured: Tensor, expected: Tensor) -> None:
    assert expected.abs().max() > 0
    torch.testing.assert_close(measured, expected, rtol=1e-7, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_sensitivities_are_those_of_every_single_experience(case: Case, chunk_size: int | None) -> None:
    call = (case.network, case.params, case.sets)
    sums = sensitivity.summed(*call, chunk_size=chunk_size)
    means = sensitivity.absolute(*call, chunk_size=chunk_size)
    roots = sensitivity.root_mean_square(*call, chunk_size=chunk_size)
    squares = sensitivity.root_mean_square(*call, chunk_size=chunk_size)
    curved = sensitivity.second_order(*call, case.direction, chunk_size=chunk_size)
    for n, jacobian in enumerate(case.jacobians):
        assert_close(sums[n], jacobian.sum(0).square().sum(0).sqrt())
        assert_close(means[n], jacobian.abs().mean(0).square().sum(0).sqrt())
        assert_close(roots[n], jacobian.square().mean(0).sum(0).sqrt())
        assert_close(squares[n], jacobian.square().mean(0).sum(0).sqrt())
        rows = jacobian.flatten(0, 1)
        assert_close(curved[n].square(), (2 / len(jacobian) * rows.T @ (rows @ case.direction[n])).abs())


def test_divergence_is_the_mean_over_real_rows(case: Case) -> None:
    others = case.params + 0.1 * case.direction
    measured = sensitivity.divergence(case.network, case.params, others, case.sets)
    for n in range(PARENTS):
        change = case.outputs(case.params, n) - case.outputs(others, n)
        torch.testing.assert_close(measured[n], change.square().sum(1).mean())


def searched(network, params, direction, sets) -> line_search.LineSearch:
    number = len(params)
    step, wanted, first = line_search.along(direction), np.full(number, 1e-3), np.full(number, 1e-2)
    return line_search.search(network, params, step, sets, wanted, first)


def test_a_search_reaches_the_divergence_on_real_rows(case: Case) -> None:
    found = searched(case.network, case.params, case.direction, case.sets)
    assert found.status == ["converged"] * PARENTS
    for n in range(PARENTS):
        change = case.outputs(case.params, n) - case.outputs(found.children, n)
        assert abs(float(change.detach().square().sum(1).mean()) / 1e-3 - 1) <= 0.01
        one = slice(n, n + 1)
        alone = searched(case.network, case.params[one], case.direction[one], case.sets[one])
        torch.testing.assert_close(alone.children[0], found.children[n], rtol=1e-9, atol=1e-9)


def test_sets_of_some_parents(case: Case) -> None:
    some = case.sets[torch.tensor([3, 1])]
    assert [one.tolist() for one in some.sets] == [case.sets.sets[n].tolist() for n in (3, 1)]
    assert take(case.sets, slice(None)) is case.sets
    assert len(take(case.sets, slice(1, 3))) == 2
