"""Outputs that are no plain tensor of numbers are refused with the cure."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import Tensor
from torch.distributions import Categorical, Normal

from refusing import INPUTS, PARENTS, Bent, operators, refuses
from safe_mutation import SMR, NumpyNetwork


@dataclass
class Output:
    logits: Any
    value: Any = None


OUTPUTS: list[tuple[str, Callable[[Tensor], Any], type[Exception], str]] = [
    ("tuple", lambda y: (y, y), TypeError, r"one tensor, got tuple: .*lambda module, x: module\(x\)\[0\]\)"),
    ("list", lambda y: [y], TypeError, r"one tensor, got list: .* module\(x\)\[0\]"),
    ("dict", lambda y: {"logits": y}, TypeError, r"one tensor, got dict: .* module\(x\)\['logits'\]"),
    ("mapping", lambda y: UserDict(q=y), TypeError, r"one tensor, got UserDict: .* module\(x\)\['q'\]"),
    ("dataclass", Output, TypeError, r"one tensor, got Output: .* module\(x\)\.logits"),
    ("categorical", lambda y: Categorical(logits=y), TypeError, r"got Categorical: .* module\(x\)\.probs"),
    ("normal", lambda y: Normal(y, 1.0), TypeError, r"got Normal: .* module\(x\)\.mean"),
    (
        "wrapped distribution",
        lambda y: SimpleNamespace(distribution=Normal(y, 1.0)),
        TypeError,
        r"got SimpleNamespace: .* module\(x\)\.distribution\.mean",
    ),
    ("nothing", lambda y: None, TypeError, "one tensor, got NoneType"),
    ("complex", lambda y: y + 0j, TypeError, r"expected outputs as .* of complex numbers \(torch.complex"),
    ("sparse", lambda y: y.detach().to_sparse(), TypeError, r"expected outputs as .*: call \.to_dense\(\)"),
    (
        "one number each",
        lambda y: y[:, 0],
        ValueError,
        r"got \([14], 12\): a single output needs an axis of its own, forward=.* module\(x\)\[:, None\]",
    ),
    (
        "pictures",
        lambda y: y[:, :, None, None].expand(-1, -1, 3, 3),
        ValueError,
        r"got \([14], 12, 2, 3, 3\): outputs of an experience are one vector, .* module\(x\)\.flatten\(1\)",
    ),
    (
        "experiences last",
        lambda y: y.T,
        ValueError,
        r"got \([14], 2, 12\): experiences come first .*batch_first=True",
    ),
    ("one number", lambda y: y.sum(), ValueError, r"expected outputs of shape \(N, I, K\) .*, got \([14],\)"),
    (
        "none at all",
        lambda y: y[:, :0],
        ValueError,
        r"at least one output, got outputs of shape \([14], 12, 0\)",
    ),
    ("nan", lambda y: y * float("nan"), ValueError, "expected finite .*, got .* nan or inf for parent 0"),
]


@pytest.mark.parametrize(("bend", "error", "message"), [o[1:] for o in OUTPUTS], ids=[o[0] for o in OUTPUTS])
def test_outputs(bend: Callable[[Tensor], Any], error: type[Exception], message: str) -> None:
    refuses(Bent(bend), error, message)


@pytest.mark.parametrize(
    "bend", [lambda y: y.argmax(-1, keepdim=True), lambda y: y > 0], ids=["integers", "booleans"]
)
def test_outputs_that_are_chosen(bend: Callable[[Tensor], Any]) -> None:
    """They have no gradient; SM-R counts what changes."""
    *gradient, search = operators(Bent(bend))
    for op in gradient:
        with pytest.raises(
            TypeError, match=r"differentiable in params, .*an argmax, .*SMR works with any network"
        ):
            op(PARENTS, experiences=INPUTS)
    _, info = search(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    assert set(info.status) <= {"jump", "saturated"}


def test_outputs_of_numpy_functions() -> None:
    for bend, message in (
        (lambda y: y.astype(object), "expected outputs of a numeric dtype, got object"),
        (lambda y: y + 1j, "expected outputs of real numbers, got complex"),
        (lambda y: y[:, 0], "a single output needs an axis of its own"),
    ):
        network = NumpyNetwork(lambda w, x, bend=bend: bend(x @ w.reshape(3, 2)))
        with pytest.raises(ValueError, match=message):
            SMR(network, divergence=0.1)(np.ones((2, 6)), experiences=INPUTS.astype(float))
