"""What cannot be mutated is refused with the cure, whoever is to blame: genomes, experiences or outputs."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, NumpyNetwork, SMGAbs, SMGSum
from safe_mutation.mutation import Mutation

RNG = np.random.default_rng(5)
INPUTS = RNG.normal(size=(12, 3)).astype(np.float32)


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


P = FlatNetwork(module()).num_params
PARENTS = RNG.normal(size=(4, P)).astype(np.float32)


def operators(network: Any) -> list[Mutation]:
    gradient: list[Mutation] = [kind(network, sigma=0.1) for kind in (SMGSum, SMGAbs, SMGSO)]
    return [*gradient, SMR(network, divergence=0.01)]


def refuses(network: Any, error: type[Exception], message: str, **call: Any) -> None:
    """All operators do, for one parent and for several."""
    given = [call.pop("params")] if "params" in call else [PARENTS[0], PARENTS]
    for op in operators(network):
        for parents in given:
            with pytest.raises(error, match=message):
                op(parents, **{"experiences": INPUTS, "generator": 1} | call)


# Arrays

DENSE = torch.from_numpy(INPUTS)
STRANGE: list[tuple[str, Callable[[Tensor], Any], str]] = [
    ("sparse", lambda x: x.to_sparse(), r"got one of layout torch.sparse_coo: call \.to_dense\(\)"),
    (
        "csr",
        lambda x: x.reshape(-1, x.shape[-1]).to_sparse_csr(),
        r"layout torch.sparse_csr: call \.to_dense",
    ),
    (
        "scipy",
        lambda x: scipy.sparse.csr_matrix(np.atleast_2d(x.numpy())),
        r"sparse matrix as x\.toarray\(\)",
    ),
    ("meta", lambda x: x.to("meta"), "on the meta device, which holds no numbers"),
    ("complex", lambda x: x + 1j, r"of complex numbers \(torch.complex64\): .* torch\.view_as_real"),
    ("complex numpy", lambda x: x.numpy() + 1j, r"real numbers, got complex64 \(ndarray\): .* np\.stack"),
    (
        "quantised",
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
        r"of quantised numbers: call \.dequantize\(\)",
    ),
    (
        "objects",
        lambda x: x.numpy().astype(object),
        "numeric dtype, got object .*: give equal arrays as np.stack",
    ),
    ("strings", lambda x: x.numpy().astype(str), "numeric dtype, got <U"),
    ("dates", lambda x: x.numpy().astype(int).astype("M8[s]"), r"numeric dtype, got datetime64\[s\]"),
    (
        "masked",
        lambda x: np.ma.masked_less(x.numpy(), 0),
        r"without masked values, .*: call \.filled\(value\)",
    ),
]


@pytest.mark.parametrize(("make_one", "message"), [s[1:] for s in STRANGE], ids=[s[0] for s in STRANGE])
@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:.*quantiz")
def test_strange_experiences(make_one: Callable[[Tensor], Any], message: str) -> None:
    given = make_one(DENSE)
    refuses(module(), TypeError, f"expected experiences .*{message}", experiences=given)
    refuses(module(), TypeError, f"expected experiences .*{message}", experiences={"a": given})


@pytest.mark.parametrize(
    ("make_one", "message"),
    [s[1:] for s in STRANGE if "csr" not in s[0]],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.filterwarnings("ignore:.*quantiz")
def test_strange_genomes(make_one: Callable[[Tensor], Any], message: str) -> None:
    given = make_one(torch.from_numpy(PARENTS))
    with pytest.raises(
        TypeError, match=f"expected genomes .*({message}|as a numpy array|a floating-point dtype)"
    ):
        SMGSum(module(), sigma=0.1)(given, experiences=INPUTS)


@pytest.mark.parametrize(
    "given", [PARENTS.astype(np.longdouble), PARENTS.astype(">f4"), PARENTS.tolist(), "w", None]
)
def test_genomes_that_could_not_come_back_as_they_came(given: Any) -> None:
    with pytest.raises(
        TypeError, match=r"expected genomes (of a floating-point dtype|as a numpy array), got|_namespace__"
    ):
        SMGSum(module(), sigma=0.1)(given, experiences=INPUTS)


def test_calls_inside_vmap() -> None:
    for op in operators(module()):
        with pytest.raises(
            TypeError, match=r"expected genomes as a plain tensor, got one inside torch\.vmap"
        ):
            torch.vmap(lambda w, op=op: op(w, experiences=INPUTS, generator=1))(torch.from_numpy(PARENTS))


# Outputs


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


class Bent(nn.Module):
    """A network whose outputs are made into something else."""

    def __init__(self, bend: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network, self.bend = module(), bend

    def forward(self, x: Tensor) -> Any:
        return self.bend(self.network(x))


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


# Networks that fail


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


# A forgotten per_parent


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
