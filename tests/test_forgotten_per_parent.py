"""Experiences of each parent that were given as if all shared them."""

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor, nn

from refusing import RNG, P, module, operators


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(3, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


FORGOTTEN = [
    (module, (4, 12, 3)),  # would be taken for sequences
    (Pictures, (4, 12, 1, 4, 4)),  # fails
    (lambda: nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), (4, 12)),
]


@pytest.mark.parametrize(("make_one", "shape"), FORGOTTEN, ids=["vectors", "pictures", "tokens"])
def test_a_forgotten_per_parent_is_named(make_one: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    sets = RNG.integers(0, 5, shape) if len(shape) == 2 else RNG.normal(size=shape)
    for op in operators(make_one()):
        parents = RNG.normal(size=(4, op.network.num_params))
        with pytest.raises(
            ValueError, match=r"got \(4, 12.*\), as many as there are parents: pass per_parent=True"
        ):
            op(parents, experiences=sets, generator=1)
        op(parents, experiences=sets, per_parent=True, generator=1)


def test_a_forgotten_per_parent_is_named_where_a_sequence_ends_as_it_began() -> None:
    sets = np.array([[2, 0, 1, 3, 2], [1, 2, 3, 4, 0], [4, 4, 1, 2, 3]])
    for op in operators(nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))):
        parents = np.random.default_rng(1).normal(size=(3, op.network.num_params))
        with pytest.raises(ValueError, match="pass per_parent=True"):
            op(parents, experiences=sets, generator=1)
        op(parents, experiences=sets, per_parent=True, generator=1)


def test_a_forgotten_per_parent_is_named_for_lists_too() -> None:
    sets = [RNG.normal(size=(rows, 3)) for rows in (3, 1, 5, 2)]
    for op in operators(module()):
        for forgotten in (sets, [list(one) for one in sets[2:]]):
            parents = np.ones((len(forgotten), P))
            with pytest.raises(ValueError, match=r"got a list of [24], as many .*: pass per_parent=True"):
                op(parents, experiences=forgotten, generator=1)
            op(parents, experiences=forgotten, per_parent=True, generator=1)


@pytest.mark.parametrize(
    ("make_one", "shape"),
    [(module, (4, 3)), (Pictures, (4, 1, 4, 4)), (Steps, (4, 12, 3)), (Steps, (4, 1, 3))],
    ids=["vectors", "pictures", "sequences", "one step"],
)
def test_as_many_experiences_as_parents_may_be_shared(
    make_one: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    for op in operators(make_one()):
        parents = RNG.normal(size=(4, op.network.num_params))
        for scale in (1.0, 1e-3, 0.0):  # with weights so small that a step hardly depends on those before
            op(scale * parents, experiences=RNG.normal(size=shape), generator=1)
