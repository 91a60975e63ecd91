"""Equal experiences are computed once, and count as often as they occur."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import naive_jacobian
from safe_mutation import SMGSO, FlatNetwork, SMGAbs, SMGSum, make
from safe_mutation.equal_experiences import PICTURE, counted_once
from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.operators import OPERATORS
from safe_mutation.plan import Plan

RNG = np.random.default_rng(3)
PICTURES = RNG.normal(size=(5, 1, 32, 32))
OFTEN = np.array([0, 1, 0, 0, 2, 1, 0, 0])
every_operator = pytest.mark.parametrize("name", OPERATORS)


class Seeing(nn.Module):
    """A small convolutional network that counts the pictures it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 5, stride=4), nn.Tanh(), nn.Flatten(), nn.Linear(98, 2))

    def forward(self, x: Any) -> Tensor:
        return self.layers(x["picture"]) + x["bias"] if isinstance(x, dict) else self.layers(x)


NETWORK = FlatNetwork(Seeing().double())
PARENTS = RNG.normal(size=(3, NETWORK.num_params)) * 0.3


def seen_by(name: str, experiences: Any, per_parent: bool = False) -> int:
    """The most pictures that one genome is asked about in one pass."""
    sizes = []

    def forward(module: nn.Module, x: Tensor) -> Tensor:
        sizes.append(len(x))
        return module(x)

    op = make(
        name, FlatNetwork(Seeing().double(), forward=forward, plan=Plan(batching="looped")), intensity=0.01
    )
    op(PARENTS, experiences=experiences, per_parent=per_parent, generator=1)
    return max(sizes)


@pytest.mark.parametrize("name", ["SM-R", "SM-G-SUM", "SM-G-SO"])  # SM-G-ABS takes them in turn
def test_each_different_picture_is_looked_at_once(name: str) -> None:
    assert seen_by(name, PICTURES) == 5
    assert seen_by(name, PICTURES[OFTEN]) == 3
    sets = np.stack([PICTURES[OFTEN], PICTURES[[3, 3, 3, 3, 3, 3, 4, 4]], PICTURES[OFTEN]])
    assert seen_by(name, sets, per_parent=True) == 3


@pytest.mark.parametrize("form", ["shared", "per parent", "lists"])
def test_sensitivities_count_every_occurrence(form: str) -> None:
    own = [PICTURES[OFTEN]] * 3
    if form != "shared":
        own[1] = PICTURES[[4, 3, 4, 4, 3, 4, 4, 4]]
    if form == "lists":
        own[2] = own[2][:3]
    experiences = {"shared": own[0], "per parent": np.stack(own[:2] + own[:1]), "lists": own}[form]
    own[2] = own[2] if form == "lists" else own[0]
    call = {"experiences": experiences, "per_parent": form != "shared"}
    sums = SMGSum(NETWORK, sigma=0.1).sensitivity(PARENTS, **call)
    means = SMGAbs(NETWORK, sigma=0.1).sensitivity(PARENTS, **call)
    children, info = SMGSO(NETWORK, sigma=1e-3)(PARENTS, **call, generator=1, return_info=True)
    for n in range(3):
        jacobian = naive_jacobian(NETWORK, torch.from_numpy(PARENTS[n]), torch.from_numpy(own[n])).numpy()
        np.testing.assert_allclose(sums[n], np.sqrt((jacobian.sum(0) ** 2).sum(0)), rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(means[n], np.sqrt((abs(jacobian).mean(0) ** 2).sum(0)), rtol=1e-7)
        outputs = [
            NETWORK(torch.from_numpy(w[n]), torch.from_numpy(own[n])).detach() for w in (PARENTS, children)
        ]
        expected = float((outputs[0] - outputs[1]).square().sum(1).mean())
        np.testing.assert_allclose(info.divergence[n], expected, rtol=1e-9)


@every_operator
@pytest.mark.parametrize("maximum", [None, 6])
def test_a_batch_equals_single_calls(name: str, maximum: int | None) -> None:
    """Also where a picture comes first in the set of another parent, and where it pays for some alone."""
    sets = np.stack(
        [
            PICTURES[[3, 1, 3, 3, 2, 1, 3, 3]],
            PICTURES[[2, 1, 2, 3, 2, 3, 1, 2]],
            PICTURES[[0, 4, 2, 3, 1, 1, 3, 4]],
        ]
    )
    op = make(name, NETWORK, intensity=0.01, max_experiences=maximum)
    children = op(PARENTS, experiences=sets, per_parent=True, generator=[5, 6, 7])
    for n in range(3):
        alone = op(PARENTS[n], experiences=sets[n], generator=5 + n)
        np.testing.assert_allclose(children[n], alone, rtol=1e-8, atol=1e-12)


def test_pictures_that_differ_in_one_bit_are_different() -> None:
    pictures = torch.from_numpy(PICTURES[OFTEN])
    other = pictures.clone()
    other[2, 0, 31, 31] = torch.nextafter(other[2, 0, 31, 31], torch.tensor(np.inf))
    structure = {"picture": pictures, "bias": torch.arange(8.0)[:, None]}
    assert len(np.unique(counted_once(pictures, False).sets[0])) == 3
    assert len(np.unique(counted_once(other, False).sets[0])) == 4
    assert counted_once(structure, False) is structure  # the pictures are equal, what comes with them is not


def test_when_it_does_not_pay() -> None:
    few = torch.from_numpy(PICTURES[[0, 1, 2, 3, 4, 4]])
    assert counted_once(few, False) is few  # hardly any are equal
    small = torch.zeros(8, PICTURE - 1)
    assert counted_once(small, False) is small
    large = torch.zeros(8, PICTURE)
    assert isinstance(counted_once(large, False), ExperienceSets)
    assert counted_once(large[:1], False) is not None
