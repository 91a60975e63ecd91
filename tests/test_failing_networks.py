"""A network that fails, or does what no sensitivity can be had of, is named with the cure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from refusing import INPUTS, PARENTS, Bent, module, operators, refuses
from safe_mutation import SMR, FlatNetwork, GaussianMutation, NumpyNetwork, SMGSum


class Casts(nn.Module):
    """Computes in half precision, with weights that are in single."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        found = self.first(x[:, :, None].bfloat16() if isinstance(self.first, nn.Conv1d) else x.bfloat16())
        return found[0] if isinstance(found, tuple) else found.flatten(1)


@pytest.mark.parametrize(
    "first", [nn.Linear(3, 2), nn.Conv1d(3, 2, 1), nn.GRU(3, 2)], ids=["linear", "conv", "gru"]
)
def test_a_cast_inside_forward_is_not_blamed_on_the_experiences(first: nn.Module) -> None:
    for op in operators(Casts(first)):
        with pytest.raises(
            ValueError,
            match=r"a network that can take .*, got [RV]\w+Error: .*torch\.autocast inside forward",
        ):
            op(np.ones((2, op.network.num_params)), experiences=INPUTS)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (KeyError("speed"), "KeyError: 'speed'"),
        (AttributeError("no layer"), "AttributeError: no layer"),
        (ZeroDivisionError("division"), "ZeroDivisionError: division"),
        (ValueError("bad value"), "ValueError: bad value"),
        (NotImplementedError("not yet"), "NotImplementedError: not yet"),
    ],
)
def test_a_failure_of_the_network_is_shown_as_it_is(error: Exception, shown: str) -> None:
    def fail(y: Tensor) -> Tensor:
        raise error

    refuses(
        Bent(fail),
        ValueError,
        rf"a network that can take genomes .* and experiences .*\(.*12, 3\).*, got {shown}",
    )


def lack_memory_on_a_gpu(y: Tensor) -> Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB")


@pytest.mark.parametrize(
    ("bend", "error"),
    [
        (lambda y: y + float(torch.empty(2**60, dtype=torch.uint8)[0]), RuntimeError),
        (lambda y: y + np.empty(2**50)[0], MemoryError),
        (lack_memory_on_a_gpu, torch.OutOfMemoryError),
    ],
    ids=["torch", "numpy", "GPU"],
)
def test_a_lack_of_memory_is_passed_on(bend: Callable[[Tensor], Any], error: type[Exception]) -> None:
    """With what the allocator said, and not as a fault of the network or the experiences."""
    for op in operators(Bent(bend)):
        with pytest.raises(error, match=r"a smaller chunk_size .*llocate") as raised:
            op(PARENTS, experiences=INPUTS)
        assert "expected" not in str(raised.value)


class Writes(nn.Module):
    """Changes its inputs."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.change, self.network = change, module()

    def forward(self, x: Tensor) -> Tensor:
        self.change(x)
        return self.network(x)


@pytest.mark.parametrize(
    "change", [nn.ReLU(inplace=True), lambda x: x.add_(1), lambda x: x.__setitem__((..., 0), 0.0)]
)
@pytest.mark.parametrize("as_many_as_parents", [False, True])
def test_a_network_that_writes_into_its_inputs(
    change: Callable[[Tensor], Any], as_many_as_parents: bool
) -> None:
    inputs = INPUTS[: 4 if as_many_as_parents else 12].copy()
    before = inputs.copy()
    refuses(
        Writes(change),
        ValueError,
        r"leaves its arguments as they are, .* module\(x\.clone\(\)\)",
        experiences=inputs,
    )
    np.testing.assert_array_equal(inputs, before)
    with pytest.raises(ValueError, match="leaves its arguments as they are"):
        GaussianMutation(Writes(change), sigma=0.1)(PARENTS, experiences=inputs, return_info=True)
    np.testing.assert_array_equal(inputs, before)
    cured = FlatNetwork(Writes(change), forward=lambda module, x: module(x.clone()))
    for op in operators(cured):
        op(PARENTS, experiences=inputs, generator=1)
    np.testing.assert_array_equal(inputs, before)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x - x.mean(-2, keepdim=True),
        lambda x: x / x.norm(dim=-2, keepdim=True),
        lambda x: x.cumsum(-2),
    ],
    ids=["centred", "scaled", "added up"],
)
@pytest.mark.parametrize("number", [2, 12])
def test_a_network_that_mixes_experiences(mix: Callable[[Tensor], Tensor], number: int) -> None:
    network = module()
    message = "depend on no other experience, got others for the last ones alone"
    mixing = FlatNetwork(network, forward=lambda module, x: module(mix(x)))
    refuses(mixing, ValueError, message, experiences=INPUTS[:number])

    def batched(params: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(mix(x) @ params.view(-1, 3, 2))

    refuses(batched, ValueError, message, experiences=INPUTS[:number], params=np.ones(6, np.float32))


def test_numpy_functions_cannot_write_into_their_inputs() -> None:
    def centred(w: np.ndarray, x: np.ndarray) -> np.ndarray:
        x -= 1
        return x @ w.reshape(3, 2)

    inputs = INPUTS.astype(float)
    with pytest.raises(ValueError, match=r"a network that can take .*read-only"):
        SMR(NumpyNetwork(centred), divergence=0.1)(np.ones((2, 6)), experiences=inputs)
    np.testing.assert_array_equal(inputs, INPUTS.astype(float))


def test_a_module_on_two_devices() -> None:
    whole = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    network = FlatNetwork(whole)
    split = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, device="meta"))
    before = split[0].weight.detach().clone()
    message = r"expected parameters on one device, got '0\.weight' on cpu and '2\.weight' on meta"
    for call in (
        lambda: SMGSum(network, sigma=0.1).mutate_(split, experiences=np.ones((4, 3)), generator=1),
        lambda: GaussianMutation(sigma=0.1).mutate_(split, generator=1),
        lambda: network.flatten(split),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert torch.equal(split[0].weight, before)
