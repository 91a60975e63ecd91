"""The operator for recurrent networks of pictures: small sensitivities count, and no step is short."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import BoldMutation, DivergenceNotReached, FlatNetwork, SafeMutation, SMGSum
from uneven import Uneven, noise_behind

X = torch.ones(3, 7, dtype=torch.float64)


class Leaping(nn.Module):
    """Outputs that leap at the slightest change of weights of 1, and change smoothly around others."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(7, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * (torch.sigmoid(1e9 * (self.w - 1)) + 0.1 * self.w))[..., :5]


def genome(module: nn.Module) -> torch.Tensor:
    return FlatNetwork(module).flatten()


def lengths(children: torch.Tensor, parents: torch.Tensor) -> np.ndarray:
    return ((children - parents).norm(dim=1) / parents.norm(dim=1)).numpy()


def test_small_sensitivities_count_and_weights_without_effect_go_as_far_as_a_typical_one():
    op = BoldMutation(Uneven(without=2), divergence=1e-3, damping=0.001, tolerance=0.01)
    np.testing.assert_allclose(*noise_behind(op, 0.001), rtol=1e-3)


@pytest.mark.parametrize("shortest", [0.03, 0.5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_steps_are_no_shorter_than_a_part_of_the_genome_where_outputs_leap(shortest, dtype):
    parents = torch.stack([genome(Leaping()), 10 * genome(Leaping())]).to(dtype)  # they leap at the first
    module, x = Leaping().to(dtype), X.to(dtype)
    settings = {"divergence": 0.03, "tolerance": 0.01}
    arguments = {"experiences": x, "generator": [1, 2], "return_info": True}
    usual, _ = BoldMutation(module, shortest=0, **settings)(parents, **arguments)
    found, info = BoldMutation(module, shortest=shortest, **settings)(parents, **arguments)
    assert lengths(usual, parents)[0] < 1e-6 < 0.03 < lengths(usual, parents)[1]
    np.testing.assert_allclose(
        lengths(found, parents), np.maximum(lengths(usual, parents), shortest), rtol=1e-2
    )
    way = nn.functional.cosine_similarity(found - parents, usual - parents)
    assert way[1] == pytest.approx(1, abs=1e-5)
    assert info.status[0] == "shortest"
    assert info.status[1] == ("converged" if shortest == 0.03 else "shortest")
    outputs = [FlatNetwork(Leaping())(one.double(), X.expand(2, 3, 7)) for one in (parents, found)]
    changed = (outputs[1] - outputs[0]).square().sum(2).mean(1).detach().numpy()
    np.testing.assert_allclose(info.divergence, changed, rtol=1e-4)


class Plateau(nn.Module):
    """Outputs that leap at the slightest change of the weights, and then stay."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(7, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (torch.tanh(1e6 * (self.w - 1)) * x)[..., :5]


def test_of_steps_that_all_go_too_far_the_shortest_is_taken():
    parents = torch.stack([genome(Plateau())] * 20)
    children, info = BoldMutation(Plateau())(parents, experiences=X, generator=1, return_info=True)
    assert info.status == ["shortest"] * 20
    np.testing.assert_allclose(lengths(children, parents), 0.03, rtol=1e-3)


class Cliff(nn.Module):
    """Outputs that overflow a thousandth of the genome's length away from it."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(7, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        far = (self.w - 1).abs().sum()
        return torch.where(far < 0.003, 100 * x * self.w, torch.inf)


def test_a_child_has_finite_outputs_though_its_step_is_shorter_for_it():
    parent = genome(Cliff())
    child, info = BoldMutation(Cliff())(parent, experiences=X, generator=1, return_info=True)
    assert 0 < (child - parent).abs().sum() < 0.003
    assert 0 < info.divergence < np.inf
    assert torch.isfinite(FlatNetwork(Cliff())(child[None], X[None])).all()


def test_the_length_is_that_of_the_weights_that_mutate():
    parent = genome(Leaping())
    parent[3:] = 50.0  # not a part of what may change
    mask = torch.arange(7) < 3
    op = BoldMutation(Leaping(), mask=mask)
    child, info = op(parent, experiences=X, generator=1, return_info=True)
    assert info.status == "shortest"
    assert torch.equal(child[3:], parent[3:])
    assert (child - parent).norm() / parent[:3].norm() == pytest.approx(0.03, rel=1e-3)


def test_a_warning_tells_of_children_that_diverge_further():
    with pytest.warns(DivergenceNotReached, match=r"divergence=0.03: parent 0 reached .* \(shortest\)"):
        child = BoldMutation(Leaping())(genome(Leaping()), experiences=X, generator=1)
    assert lengths(child[None], genome(Leaping())[None])[0] == pytest.approx(0.03, rel=1e-3)


def test_parents_without_effect_or_without_length_get_the_usual_rule():
    for scale, x in ((1, 0 * X), (0, X)):
        parent = scale * genome(Uneven(without=2))
        bold = BoldMutation(Uneven(without=2), damping=0.1)(
            parent, experiences=x, generator=1, return_info=True
        )
        usual = SMGSum(Uneven(without=2), divergence=0.03, tolerance=0.25)(
            parent, experiences=x, generator=1, return_info=True
        )
        assert bold[1].status == usual[1].status
        if scale:
            torch.testing.assert_close(bold[0], usual[0])
        assert torch.isfinite(bold[0]).all()


@pytest.mark.filterwarnings("ignore::safe_mutation.DivergenceNotReached")
def test_calls_together_and_one_by_one_agree():
    parents = torch.stack([genome(Leaping()), 10 * genome(Leaping()), 20 * genome(Leaping())])
    op = BoldMutation(Leaping())
    together = op(parents, experiences=X, generator=[1, 2, 3])
    for n, parent in enumerate(parents):
        torch.testing.assert_close(op(parent, experiences=X, generator=n + 1), together[n])
    sensitivity = op.sensitivity(parents, experiences=X)
    again = op(parents, experiences=X, generator=[1, 2, 3], sensitivity=sensitivity)
    torch.testing.assert_close(again, together)
    torch.testing.assert_close(
        pickle.loads(pickle.dumps(op))(parents, experiences=X, generator=[1, 2, 3]), together
    )


def test_it_is_calibrated_by_its_own_rule():
    parents = torch.stack([genome(Uneven(without=2))] * 4)
    op = BoldMutation(Uneven(without=2))
    fixed = op.calibrate(parents, divergence=0.01, experiences=X, generator=1)
    assert isinstance(fixed, BoldMutation)
    ways = [one(parents[0], experiences=X, generator=5) - parents[0] for one in (fixed, op)]
    assert nn.functional.cosine_similarity(*ways, dim=0) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "much", None, True, 0, 1.1])
def test_what_is_out_of_range_is_refused(value):
    if value != 1.1:
        with pytest.raises(ValueError, match="expected damping to be a positive number, got"):
            BoldMutation(Uneven(without=2), damping=value)
    if value != 0:
        with pytest.raises(ValueError, match="expected shortest to be a number from 0 to 1, got"):
            BoldMutation(Uneven(without=2), shortest=value)


def test_without_a_shortest_step_it_is_the_search_alone():
    child, info = BoldMutation(Leaping(), shortest=0)(
        genome(Leaping()), experiences=X, generator=1, return_info=True
    )
    assert info.status in ("converged", "jump")
    assert lengths(child[None], genome(Leaping())[None])[0] < 1e-6


def test_a_divergence_is_the_default_operators_own():
    assert BoldMutation(Uneven(without=2)).divergence == SafeMutation(Uneven(without=2)).divergence == 0.03
    with pytest.raises(ValueError, match=r"expected either sigma or divergence, got sigma=0.1"):
        BoldMutation(Uneven(without=2), sigma=0.1)
