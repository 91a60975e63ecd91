"""Parents with experiences of different number, sequences of different length: calls of the operators."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from network_kinds import naive_jacobian
from safe_mutation import SMGSO, FlatNetwork, SMGAbs, SMGSum, make
from safe_mutation.operators import OPERATORS

N = 4
RNG = np.random.default_rng(3)
every_operator = pytest.mark.parametrize("name", OPERATORS)


class Recurrent(nn.Module):
    """Sequences (I, T, 2), alone or as part of a dict with a goal (I, 2), to outputs at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(2, 3, batch_first=True, bidirectional=True), nn.Linear(6, 2)

    def forward(self, x: Any) -> Tensor:
        path, goal = (x["path"], x["goal"][:, None]) if isinstance(x, dict) else (x, 0.0)
        return torch.tanh(self.head(self.layer(path + goal)[0]))


MLP = FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double())
GRU = FlatNetwork(Recurrent().double())


def sequences(lengths: list[int], dims: int = 2) -> list[np.ndarray]:
    return [RNG.normal(size=(t, dims)) for t in lengths]


ROWS = [RNG.normal(size=(i, 3)) for i in (7, 1, 30, 4)]
SEQUENCES = [sequences([3, 1, 3]), sequences([2]), sequences([5, 5, 4, 1]), sequences([4, 4])]
DICTS = [
    [{"path": x, "goal": RNG.normal(size=2)} for x in sequences(lengths)]
    for lengths in ([3, 1, 3], [2], [5, 5, 4, 1], [4, 4])
]
STACKED = [
    {"path": RNG.normal(size=(i, t, 2)), "goal": RNG.normal(size=(i, 2))}
    for i, t in ((3, 2), (1, 2), (2, 5), (2, 2))
]
CASES = {"rows": (MLP, ROWS), "sequences": (GRU, SEQUENCES), "dicts": (GRU, DICTS), "stacked": (GRU, STACKED)}
every_case = pytest.mark.parametrize("case", CASES)


def singles(experiences: Any) -> list[Any]:
    """Every experience of a parent by itself, as a batch of one."""
    if isinstance(experiences, list):
        return [as_batch(x) for x in experiences]
    if isinstance(experiences, dict):
        return [
            {k: torch.from_numpy(v[i : i + 1]) for k, v in experiences.items()}
            for i in range(len(experiences["goal"]))
        ]
    return [torch.from_numpy(x[None]) for x in experiences]


def as_batch(x: Any) -> Any:
    return (
        {k: as_batch(v) for k, v in x.items()}
        if isinstance(x, dict)
        else torch.from_numpy(np.asarray(x))[None]
    )


@every_case
def test_sensitivities_are_those_of_every_single_experience(case: str) -> None:
    network, sets = CASES[case]
    parents = RNG.normal(size=(N, network.num_params))
    call = {"experiences": sets, "per_parent": True}
    sums = SMGSum(network, sigma=0.1).sensitivity(parents, **call)
    means = SMGAbs(network, sigma=0.1).sensitivity(parents, **call)
    children, info = SMGSO(network, sigma=0.1)(parents, **call, generator=1, return_info=True)
    steps = (children - parents) * np.maximum(info.sensitivity, 0.01)
    for n in range(N):
        jacobian = torch.cat(
            [naive_jacobian(network, torch.from_numpy(parents[n]), x) for x in singles(sets[n])]
        ).numpy()
        np.testing.assert_allclose(sums[n], np.sqrt((jacobian.sum(0) ** 2).sum(0)), rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(
            means[n], np.sqrt((abs(jacobian).mean(0) ** 2).sum(0)), rtol=1e-7, atol=1e-12
        )
        rows = jacobian.reshape(-1, network.num_params)
        product = abs(2 / len(jacobian) * rows.T @ (rows @ steps[n]))
        np.testing.assert_allclose(info.sensitivity[n] ** 2, product, rtol=1e-6, atol=1e-12)


@every_operator
@every_case
@pytest.mark.parametrize("maximum", [100, 2])
def test_a_batch_equals_single_calls(name: str, case: str, maximum: int) -> None:
    """Also where experiences are drawn: among a parent's own."""
    network, sets = CASES[case]
    op = make(name, network, intensity=0.01, max_experiences=maximum)
    parents = RNG.normal(size=(N, network.num_params))
    children, info = op(parents, experiences=sets, per_parent=True, generator=[5, 6, 7, 8], return_info=True)
    for n in range(N):
        alone, own = op(parents[n], experiences=sets[n], generator=5 + n, return_info=True)
        np.testing.assert_allclose(children[n], alone, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(info.divergence[n], own.divergence, rtol=1e-9)


@every_operator
def test_sequences_of_one_length_are_a_rectangle(name: str) -> None:
    op = make(name, GRU, intensity=0.01)
    parents, inputs = RNG.normal(size=(N, GRU.num_params)), RNG.normal(size=(5, 4, 2))
    np.testing.assert_array_equal(
        op(parents, experiences=list(inputs), generator=1), op(parents, experiences=inputs, generator=1)
    )


@every_operator
@pytest.mark.parametrize("per_parent", [False, True])
@pytest.mark.parametrize("maximum", [100, 3])
def test_packed_and_nested_sequences(name: str, per_parent: bool, maximum: int) -> None:
    op = make(name, GRU, intensity=0.01, max_experiences=maximum)
    parents = RNG.normal(size=(N, GRU.num_params))
    sets = [[torch.from_numpy(x) for x in own] for own in SEQUENCES]
    packed = [pack_sequence(own, enforce_sorted=False) for own in sets]
    nested = [torch.nested.nested_tensor(own, layout=torch.jagged) for own in sets]
    forms = (sets, packed, nested) if per_parent else (sets[2], packed[2], nested[2])
    call = {"per_parent": per_parent, "generator": [5, 6, 7, 8]}
    first, *others = [op(parents, experiences=form, **call) for form in forms]
    for other in others:
        np.testing.assert_array_equal(other, first)
    alone = op(parents[1], experiences=SEQUENCES[1 if per_parent else 2], generator=6)
    np.testing.assert_allclose(first[1], alone, rtol=1e-9, atol=1e-12)


@every_operator
def test_padding_never_reaches_the_network(name: str) -> None:
    """Every experience that the network sees is one of the parent's own, and of its own length."""
    seen: list[Tensor] = []

    def network(params: Tensor, x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return torch.tanh(torch.einsum("nitd,nd->nit", x, params))[..., None]

    own = [
        [np.full((t, 2), 10 * n + t, float) for t in lengths]
        for n, lengths in enumerate(([1, 2], [3], [2, 2, 1]))
    ]
    parents = RNG.normal(size=(3, 2)) * 0.01
    make(name, network, intensity=1e-4)(parents, experiences=own, per_parent=True, generator=1)
    for x in seen:
        assert set(x.unique().tolist()) <= {1, 2, 13, 21, 22}
        assert (x % 10 == x.shape[2]).all()


def test_parents_may_share_a_list_of_sequences() -> None:
    op = SMGSum(GRU, sigma=0.1, max_experiences=2)
    parents = np.stack(N * [RNG.normal(size=GRU.num_params)])
    together = op.sensitivity(parents, experiences=SEQUENCES[2], generator=1)
    # One generator: one draw. Processors differ in whether equal rows of a batch are rounded alike.
    np.testing.assert_allclose(together, together[[0] * N], rtol=1e-9)
    apart = op.sensitivity(parents, experiences=SEQUENCES[2], generator=[1, 2, 3, 4])
    assert not np.allclose(apart, apart[0], rtol=0.1)


@pytest.mark.parametrize(
    ("experiences", "per_parent", "message"),
    [
        (ROWS[:3], True, "a list with one set of experiences for each of 4 parents, got 3"),
        ([*ROWS[:3], np.zeros((0, 3))], True, "at least one experience"),
        ([*ROWS[:3], {"a": ROWS[3]}], True, "the same keys and parts, got"),
        ([{"a": ROWS[0]}, {"b": ROWS[0]}], False, "the same keys and parts, got"),
        ({"a": ROWS, "b": ROWS}, True, "list dicts or tuples, one for each"),
        ([[1.0, 2.0], [1.0]], False, "of unequal parts .*: give a list of arrays"),
    ],
)
def test_bad_lists(experiences: Any, per_parent: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMGSum(MLP, sigma=0.1)(np.ones((N, MLP.num_params)), experiences=experiences, per_parent=per_parent)
