"""The forms in which callers may give experiences and genomes, and what is refused, with which cure."""

from collections import UserDict, namedtuple
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from safe_mutation import FlatNetwork, SMGAbs, SMGSum, make
from safe_mutation.operators import OPERATORS

MODULE = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).requires_grad_(True)
NETWORK = FlatNetwork(MODULE)
P = NETWORK.num_params
RNG = np.random.default_rng(5)
INPUTS = RNG.normal(size=(12, 3)).astype(np.float32)
PARENTS = RNG.normal(size=(4, P)).astype(np.float32)

every_operator = pytest.mark.parametrize("name", OPERATORS)


class Foreign:
    """An array of another library: offers DLPack and the array API's namespace, and nothing else."""

    def __init__(self, values: Any) -> None:
        self._tensor = torch.as_tensor(values).clone()

    def __dlpack__(self, **arguments: Any) -> Any:
        return self._tensor.__dlpack__(**arguments)

    def __dlpack_device__(self) -> Any:
        return self._tensor.__dlpack_device__()

    def __array_namespace__(self, api_version: str | None = None) -> SimpleNamespace:
        return SimpleNamespace(from_dlpack=lambda values: Foreign(torch.from_dlpack(values)))

    def numpy(self) -> np.ndarray:
        return self._tensor.numpy()


# One array for all parents


@pytest.mark.parametrize(
    "given",
    [
        INPUTS[::-1][::-1],
        INPUTS[:, ::-1].copy()[:, ::-1],
        np.asfortranarray(INPUTS),
        INPUTS.astype(">f4"),
        INPUTS.astype(np.longdouble),
        np.broadcast_to(INPUTS, (1, 12, 3))[0],
        np.ma.masked_array(INPUTS),
        list(INPUTS),
        [torch.from_numpy(x) for x in INPUTS],
        [Foreign(x) for x in INPUTS],
        INPUTS.tolist(),
        [tuple(x) for x in INPUTS.tolist()],
        Foreign(INPUTS),
        torch.from_numpy(-INPUTS).neg(),
        torch.nested.nested_tensor([torch.from_numpy(x) for x in INPUTS], layout=torch.jagged),
    ],
    ids=lambda given: type(given).__name__,
)
@every_operator
def test_forms_of_one_array(name: str, given: Any) -> None:
    op = make(name, NETWORK, intensity=0.01)
    expected, info = op(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    children, other = op(PARENTS, experiences=given, generator=1, return_info=True)
    np.testing.assert_array_equal(children, expected)
    np.testing.assert_array_equal(other.divergence, info.divergence)


class Observer(nn.Module):
    """Dict or tuple observations with integers among them."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(5, 2), nn.Linear(5, 2)

    def forward(self, x: Any) -> Tensor:
        token, state = (x["token"], x["state"]) if isinstance(x, dict) else x
        return self.layer(torch.cat([self.table(token), state], -1))


TOKENS = RNG.integers(0, 5, size=12)
Pair = namedtuple("Pair", "token state")


@pytest.mark.parametrize(
    "given",
    [
        UserDict(token=TOKENS, state=INPUTS),
        MappingProxyType({"state": INPUTS, "token": TOKENS}),
        (TOKENS, INPUTS),
        Pair(TOKENS, INPUTS),
        {"token": TOKENS.tolist(), "state": list(INPUTS)},
        [{"token": t, "state": x} for t, x in zip(TOKENS, INPUTS, strict=True)],
        [UserDict(state=x, token=np.int64(t)) for t, x in zip(TOKENS, INPUTS, strict=True)],
        [Pair(t, x) for t, x in zip(TOKENS, INPUTS, strict=True)],
        {"token": Foreign(TOKENS), "state": Foreign(INPUTS)},
    ],
    ids=lambda given: type(given).__name__,
)
def test_forms_of_structures(given: Any) -> None:
    network = FlatNetwork(Observer())
    parents = RNG.normal(size=(3, network.num_params))
    for op in (SMGSum(network, sigma=0.1), SMGAbs(network, sigma=0.1)):
        expected = op(parents, experiences={"token": TOKENS, "state": INPUTS}, generator=1)
        np.testing.assert_array_equal(op(parents, experiences=given, generator=1), expected)


# Genomes of other libraries


@every_operator
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_foreign_genomes_come_back_as_they_came(name: str, batch: bool, dtype: torch.dtype) -> None:
    op = make(name, NETWORK, intensity=0.01)
    parents = torch.from_numpy(PARENTS if batch else PARENTS[0]).to(dtype)
    given = Foreign(parents)
    children, info = op(given, experiences=Foreign(INPUTS), generator=1, return_info=True)
    expected, other = op(parents, experiences=INPUTS, generator=1, return_info=True)
    assert type(children) is Foreign
    assert torch.equal(children._tensor, expected)
    assert torch.equal(given._tensor, parents)
    if batch:
        assert type(info.divergence) is Foreign
        np.testing.assert_array_equal(info.divergence.numpy(), other.divergence)


def test_foreign_masks_and_sensitivities() -> None:
    mask = NETWORK.mask("*.weight")
    op = SMGSum(NETWORK, sigma=0.1, mask=Foreign(mask))
    known = SMGSum(NETWORK, sigma=0.1).sensitivity(Foreign(PARENTS), experiences=INPUTS)
    assert type(known) is Foreign
    children = op(Foreign(PARENTS), sensitivity=known, generator=1)
    expected = SMGSum(NETWORK, sigma=0.1, mask=mask)(PARENTS, experiences=INPUTS, generator=1)
    np.testing.assert_array_equal(children.numpy(), expected)


# Replay buffers


@every_operator
def test_of_a_replay_buffer_the_same_experiences_are_drawn_in_whatever_form_it_comes(name: str) -> None:
    buffer = RNG.normal(size=(500, 3))
    op = make(name, NETWORK, intensity=0.01, max_experiences=20)
    for parents in (PARENTS, PARENTS[0]):
        expected = op(parents, experiences=Foreign(buffer), generator=1)
        for given in (buffer, torch.from_numpy(buffer), buffer.tolist(), list(buffer)):
            np.testing.assert_array_equal(op(parents, experiences=given, generator=1), expected)


@every_operator
def test_of_a_mapped_file_only_what_is_drawn_is_read(name: str, tmp_path: Any) -> None:
    with open(tmp_path / "buffer", "wb") as file:
        file.truncate(12 * 3 * 10**10)  # 360 GB, of which nothing is on the disk
    buffer = np.memmap(tmp_path / "buffer", np.float32, "r", shape=(3 * 10**10, 3))
    op = make(name, NETWORK, intensity=0.01, max_experiences=20)
    child = op(PARENTS, experiences=buffer, generator=1)
    np.testing.assert_array_equal(child, op(PARENTS, experiences=np.zeros((20, 3)), generator=1))


def test_what_is_drawn_early_is_refused_as_ever() -> None:
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state
    op = SMGSum(NETWORK, sigma=0.1, max_experiences=5)
    for given, message in (
        ({"a": INPUTS, "b": INPUTS[1:]}, "the same I, got"),
        (INPUTS.astype(object), "numeric dtype, got object"),
        (INPUTS + 1j, "real numbers, got complex"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            op(PARENTS, experiences=given, generator=generator)
        assert generator.bit_generator.state == before
