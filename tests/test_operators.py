"""The operators as callers meet them: what they return, what they leave alone, what they refuse."""

import copy
import inspect
import pickle
import random
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from safe_mutation import (
    SMG,
    SMGSO,
    SMR,
    FlatNetwork,
    GaussianMutation,
    Mutation,
    NumpyNetwork,
    SMGAbs,
    SMGRms,
    SMGSum,
    make,
)
from safe_mutation.operators import OPERATORS
from safe_mutation.presets import PRESETS


def small_module(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


NETWORK = FlatNetwork(small_module())
P = NETWORK.num_params
INPUTS = np.random.default_rng(5).normal(size=(12, 3)).astype(np.float32)
PARENTS = np.random.default_rng(6).normal(size=(4, P)).astype(np.float32)
ALL = [make(name, NETWORK, intensity=0.01) for name in OPERATORS]
GRADIENT = [op for op in ALL if isinstance(op, SMG)]


def named(op) -> str:
    return type(op).__name__


every_operator = pytest.mark.parametrize("op", ALL, ids=named)
gradient_operators = pytest.mark.parametrize("op", GRADIENT, ids=named)


def delta(seed: int, sigma: float, like: np.ndarray) -> np.ndarray:
    """The perturbation of a seed: Philox normals in the genome's precision."""
    drawn = np.random.Generator(np.random.Philox(seed)).standard_normal(like.shape, dtype=like.dtype)
    return sigma * drawn


# What comes back


@every_operator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_children_are_fresh_arrays_like_the_parents(op, dtype, batch: bool, kind: str) -> None:
    parents = PARENTS.astype(dtype) if batch else PARENTS[0].astype(dtype)
    given = torch.from_numpy(parents.copy()) if kind == "torch" else parents.copy()
    children = op(given, experiences=INPUTS, generator=1)
    assert type(children) is type(given)
    assert children.dtype == given.dtype
    assert children.shape == given.shape
    np.testing.assert_array_equal(given, parents)  # untouched
    assert np.isfinite(np.asarray(children)).all()
    assert not np.shares_memory(np.asarray(children), np.asarray(given))
    assert (np.asarray(children) != parents).mean() > 0.9


@pytest.mark.parametrize("op", [op for op in ALL if op.divergence is None], ids=named)
def test_half_precision_is_computed_in_single(op) -> None:
    parents = torch.from_numpy(PARENTS).bfloat16()
    children = op(parents, experiences=INPUTS, generator=1)
    assert children.dtype == torch.bfloat16
    expected = op(parents.float(), experiences=INPUTS, generator=1)
    torch.testing.assert_close(children, expected.bfloat16(), rtol=0, atol=0)


@gradient_operators
def test_the_child_is_the_parent_plus_the_clipped_scaled_step(op) -> None:
    parents = PARENTS.astype(np.float64)
    for clip in (None, 0.02):
        own = type(op)(NETWORK, sigma=0.05, weight_clip=clip, floor=0.3)
        children, info = own(parents, experiences=INPUTS, generator=3, return_info=True)
        scale = np.maximum(np.where(info.sensitivity == 0, 1.0, info.sensitivity), 0.3)
        step = delta(3, 0.05, parents) / scale
        limited = step if clip is None else np.clip(step, -clip, clip)
        np.testing.assert_allclose(children, parents + limited, rtol=1e-12)
        np.testing.assert_allclose(info.floored, (info.sensitivity < 0.3).mean(1))
        np.testing.assert_allclose(info.clipped, 0 if clip is None else (abs(step) > clip).mean(1))


def test_zero_becomes_one_before_the_floor_and_the_clip_comes_last() -> None:
    """A linear network whose four weights have the sensitivities 0, 0.001, 0.5 and 4."""
    slopes = torch.tensor([0.0, 0.001, 0.5, 4.0], dtype=torch.float64)

    def network(params: Tensor, x: Tensor) -> Tensor:
        return ((params * slopes)[:, None, :] * x).sum(2, keepdim=True)

    parent, inputs = np.zeros(4), np.ones((1, 4))
    d = delta(2, 0.1, parent)
    child, info = SMGSum(network, sigma=0.1)(parent, experiences=inputs, generator=2, return_info=True)
    np.testing.assert_allclose(info.sensitivity, slopes)
    np.testing.assert_allclose(child, d / [1.0, 0.01, 0.5, 4.0])
    assert (info.zero, info.floored, info.clipped) == (0.25, 0.25, 0.0)
    own = SMGSum(network, sigma=0.1, zero=2.0, floor=0.7, weight_clip=0.05)
    np.testing.assert_allclose(
        own(parent, experiences=inputs, generator=2), np.clip(d / [2.0, 0.7, 0.7, 4.0], -0.05, 0.05)
    )


def test_control_adds_noise_alone() -> None:
    parents = PARENTS.astype(np.float64)
    children = GaussianMutation(sigma=0.3)(parents, generator=8)
    np.testing.assert_allclose(children, parents + delta(8, 0.3, parents), rtol=1e-12)
    assert children.std() > 0.3


def test_control_stands_in_for_the_others() -> None:
    control = GaussianMutation(NETWORK, sigma=0.1)
    bare = GaussianMutation(sigma=0.1)(PARENTS, generator=1)
    np.testing.assert_array_equal(control(PARENTS, experiences=INPUTS, generator=1), bare)
    children, info = control(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    np.testing.assert_array_equal(children, bare)  # looking at the divergence changes nothing
    assert info.divergence.shape == (4,)
    assert (info.divergence > 0).all()


def test_so_directions_differ_by_the_root_of_the_length() -> None:
    parents = PARENTS.astype(np.float64)
    call = {"experiences": INPUTS, "generator": 4, "return_info": True}
    _, raw = SMGSO(NETWORK, sigma=0.02)(parents, **call)
    _, unit = SMGSO(NETWORK, sigma=0.02, direction="unit")(parents, **call)
    lengths = np.linalg.norm(delta(4, 0.02, parents), axis=1)
    np.testing.assert_allclose(raw.sensitivity / unit.sensitivity, np.sqrt(lengths)[:, None] * np.ones(P))


@every_operator
def test_info_reports_the_divergence_of_the_children(op) -> None:
    parents = PARENTS.astype(np.float64)
    children, info = op(parents, experiences=INPUTS, generator=1, return_info=True)
    for n in range(4):
        with torch.no_grad():
            before, after = (
                NETWORK(torch.from_numpy(w[n]), torch.from_numpy(INPUTS).double())
                for w in (parents, children)
            )
        expected = (before - after).square().sum(1).mean()
        np.testing.assert_allclose(info.divergence[n], expected, rtol=1e-6)
    _, single = op(parents[0], experiences=INPUTS, generator=1, return_info=True)
    assert isinstance(single.divergence, float)


def test_info_names_weights_that_the_outputs_do_not_depend_on() -> None:
    class ActorCritic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.actor, self.critic = nn.Linear(3, 2), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.actor(x)

    network = FlatNetwork(ActorCritic())
    for op in (SMR(network, divergence=0.1), SMGSum(network, divergence=0.1), SMGSO(network, sigma=0.1)):
        _, info = op(network.flatten(), experiences=INPUTS, generator=1, return_info=True)
        assert info.unreached == ("critic.weight", "critic.bias")
    op = SMGSum(network, sigma=0.1, mask=network.reaching(INPUTS))
    child = op(network.flatten(), experiences=INPUTS, generator=1)
    torch.testing.assert_close(child[8:], network.flatten()[8:], rtol=0, atol=0)
    _, info = op(network.flatten(), experiences=INPUTS, generator=1, return_info=True)
    _, other = SMGSum(NETWORK, sigma=0.1)(PARENTS, experiences=INPUTS, return_info=True)
    assert other.unreached == ()


# Batches and random numbers


@every_operator
@pytest.mark.parametrize("per_parent", [False, True])
def test_a_batch_with_a_generator_each_equals_single_calls(op, per_parent: bool) -> None:
    parents = PARENTS.astype(np.float64)
    sets = np.random.default_rng(2).normal(size=(4, 12, 3))
    own = type(op)(**{**vars(op), "max_experiences": 5})  # so that experiences are drawn as well
    experiences = sets if per_parent else sets[0]
    children = own(parents, experiences=experiences, per_parent=per_parent, generator=[5, 6, 7, 8])
    for n in range(4):
        alone = own(parents[n], experiences=sets[n if per_parent else 0], generator=5 + n)
        np.testing.assert_allclose(children[n], alone, rtol=1e-9)


def test_every_kind_of_generator() -> None:
    op = GaussianMutation(sigma=1.0)
    seven = op(PARENTS, generator=7)
    np.testing.assert_array_equal(seven, op(PARENTS, generator=np.int64(7)))
    makers = [
        lambda: np.random.default_rng(1),
        lambda: np.random.RandomState(1),
        lambda: random.Random(1),
        lambda: torch.Generator().manual_seed(1),
    ]
    for make_one in makers:
        generator = make_one()
        first, second = op(PARENTS, generator=generator), op(PARENTS, generator=generator)
        assert not np.array_equal(first, second)  # the generator moves on
        np.testing.assert_array_equal(first, op(PARENTS, generator=make_one()))
    mixed = op(PARENTS, generator=[1, np.random.default_rng(2), torch.Generator().manual_seed(3), None])
    np.testing.assert_array_equal(mixed[0], op(PARENTS[0], generator=1))
    np.testing.assert_array_equal(mixed[2], op(PARENTS[2], generator=torch.Generator().manual_seed(3)))
    assert not np.array_equal(op(PARENTS), op(PARENTS))  # None is fresh entropy


@every_operator
def test_global_random_state_is_not_touched(op) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  (the global state is what this is about)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for generator in (None, 1, [1, 2, 3, 4]):
        op(PARENTS, experiences=INPUTS, generator=generator)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_noise_is_normal_and_independent() -> None:
    children = GaussianMutation(sigma=2.0)(np.zeros((200, 500), np.float32), generator=0)
    assert abs(children.mean()) < 0.02
    assert abs(children.std() - 2) < 0.02
    assert abs(np.corrcoef(children[0], children[1])[0, 1]) < 0.2


# Experiences


@gradient_operators
def test_experiences_are_drawn_without_replacement(op) -> None:
    """One weight for every experience: those with a sensitivity are the ones that were drawn."""

    def network(params: Tensor, x: Tensor) -> Tensor:
        return (params[:, None, :] * x).sum(2, keepdim=True)

    parents, inputs = np.ones((3, 20)), np.eye(20)
    own = type(op)(network, sigma=0.1, max_experiences=6)
    _, info = own(parents, experiences=inputs, generator=1, return_info=True)
    drawn = info.sensitivity > 0
    assert drawn.sum(1).tolist() == [6, 6, 6]
    assert (drawn == drawn[0]).all()  # one generator, shared experiences: one draw
    _, info = own(parents, experiences=inputs, generator=[1, 2, 3], return_info=True)
    drawn = info.sensitivity > 0
    assert drawn.sum(1).tolist() == [6, 6, 6]
    assert (drawn != drawn[0]).any()
    _, info = type(op)(network, sigma=0.1, max_experiences=None)(
        parents, experiences=inputs, generator=1, return_info=True
    )
    assert (info.sensitivity > 0).all()


@every_operator
def test_default_experiences(op) -> None:
    own = type(op)(**{**vars(op), "experiences": INPUTS})
    np.testing.assert_array_equal(own(PARENTS, generator=1), op(PARENTS, experiences=INPUTS, generator=1))
    other = INPUTS + 1
    np.testing.assert_array_equal(
        own(PARENTS, experiences=other, generator=1), op(PARENTS, experiences=other, generator=1)
    )


def test_default_experiences_may_be_looked_up_at_each_call() -> None:
    archive = [INPUTS]
    op = SMGSum(NETWORK, sigma=0.1, experiences=lambda: archive[-1])
    first = op(PARENTS, generator=1)
    np.testing.assert_array_equal(first, op(PARENTS, experiences=INPUTS, generator=1))
    archive.append(INPUTS + 1)
    np.testing.assert_array_equal(op(PARENTS, generator=1), op(PARENTS, experiences=INPUTS + 1, generator=1))


def test_gradients_wash_out_in_sum_but_not_in_abs() -> None:
    """The toy model on inputs of opposite sign (supplement 1): the output gradients cancel exactly."""
    scale = torch.tensor([100.0, 0.1])

    def network(params: Tensor, x: Tensor) -> Tensor:
        return scale * params[:, None, :] * x

    parent, inputs = np.array([0.3, -0.4], np.float32), np.array([[1, 1], [-1, -1]], np.float32)
    call = {"experiences": inputs}
    assert SMGSum(network, sigma=1).sensitivity(parent, **call).tolist() == [0, 0]
    np.testing.assert_allclose(SMGAbs(network, sigma=1).sensitivity(parent, **call), [100, 0.1], rtol=1e-6)
    _, info = SMGSO(network, sigma=1)(parent, **call, generator=1, return_info=True)
    assert (info.sensitivity > 0).all()


def test_experiences_of_any_precision_and_kind() -> None:
    op = SMGSum(NETWORK, sigma=0.1)
    expected = op(PARENTS, experiences=INPUTS, generator=1)
    read_only = INPUTS.copy()
    read_only.flags.writeable = False
    with torch.inference_mode():
        recorded = torch.from_numpy(INPUTS.copy())
    for experiences in (
        INPUTS.astype(np.float64),
        torch.from_numpy(INPUTS),
        INPUTS.tolist(),
        read_only,
        recorded,
    ):
        np.testing.assert_array_equal(op(PARENTS, experiences=experiences, generator=1), expected)


@every_operator
def test_inside_no_grad_and_inference_mode(op) -> None:
    expected = op(PARENTS, experiences=INPUTS, generator=1)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            genomes = torch.from_numpy(PARENTS) * 1
            np.testing.assert_array_equal(op(genomes, experiences=INPUTS, generator=1), expected)


# Options


@every_operator
def test_masked_weights_keep_their_bits(op) -> None:
    mask = NETWORK.mask("*.weight")
    parents = PARENTS.copy()
    parents[:, 12:16] = -0.0  # biases of the first layer; even the sign of a zero stays
    own = type(op)(**{**vars(op), "mask": mask})
    children = own(parents, experiences=INPUTS, generator=1)
    kept = ~mask.numpy()
    assert children[:, kept].tobytes() == parents[:, kept].tobytes()
    assert (children[:, ~kept] != parents[:, ~kept]).mean() > 0.9


@pytest.mark.parametrize("kind", [SMGSum, SMGAbs, SMGRms])
def test_sensitivities_can_be_used_again(kind) -> None:
    op = kind(NETWORK, sigma=0.1, weight_clip=0.2)
    known = op.sensitivity(PARENTS, experiences=INPUTS)
    assert known.shape == PARENTS.shape
    before = known.copy()
    expected, info = op(PARENTS, experiences=INPUTS, generator=[1, 2, 3, 4], return_info=True)
    again, second = op(PARENTS, sensitivity=known, generator=[1, 2, 3, 4], return_info=True)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(known, before)
    np.testing.assert_array_equal(info.sensitivity, second.sensitivity)
    assert second.divergence is None  # there were no experiences to measure it on
    single = op.sensitivity(torch.from_numpy(PARENTS[0]), experiences=INPUTS)
    torch.testing.assert_close(single, torch.from_numpy(known[0]))
    np.testing.assert_allclose(op(PARENTS[0], sensitivity=known[0], generator=1), expected[0], rtol=1e-6)


def test_sensitivities_that_depend_on_the_perturbation_are_refused() -> None:
    op = SMGSO(NETWORK, sigma=0.1)
    assert not op.reusable_sensitivity
    assert not hasattr(op, "sensitivity")
    with pytest.raises(TypeError, match="depends on the perturbation"):
        op(PARENTS, sensitivity=np.ones_like(PARENTS))
    with pytest.raises(TypeError, match="SMR expected no sensitivity: it uses none"):
        SMR(NETWORK, divergence=0.1)(PARENTS, experiences=INPUTS, sensitivity=np.ones_like(PARENTS))


@every_operator
def test_operators_are_immutable_and_survive_pickling(op) -> None:
    expected = op(PARENTS, experiences=INPUTS, generator=1)
    for other in (pickle.loads(pickle.dumps(op)), copy.deepcopy(op)):
        np.testing.assert_array_equal(other(PARENTS, experiences=INPUTS, generator=1), expected)
    with pytest.raises(AttributeError):
        op.max_experiences = 3


# Modules


@every_operator
def test_a_module_mutates_in_place(op) -> None:
    module = small_module(3)
    module[0].bias.requires_grad_(False)
    network = FlatNetwork(module)
    own = type(op)(**{**vars(op), "network": network})
    expected = own(network.flatten(), experiences=INPUTS, generator=1)
    frozen = module[0].bias.detach().clone()
    tensors = [p.data_ptr() for p in module.parameters()]
    assert own.mutate_(module, experiences=INPUTS, generator=1) is module
    torch.testing.assert_close(network.flatten(module), expected, rtol=0, atol=0)
    assert torch.equal(module[0].bias, frozen)
    assert [p.data_ptr() for p in module.parameters()] == tensors
    assert all(p.grad is None for p in module.parameters())
    _, info = own.mutate_(module, experiences=INPUTS, generator=2, return_info=True)
    assert info.divergence > 0


def test_mutating_a_module_uses_its_own_buffers() -> None:
    def with_statistics(mean: float) -> nn.Module:
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Linear(4, 2)).eval()
        module[1].running_mean.fill_(mean)
        return module

    first, second = with_statistics(0.0), with_statistics(3.0)
    op = SMGSum(first, sigma=0.1)
    expected = SMGSum(second, sigma=0.1)(FlatNetwork(second).flatten(), experiences=INPUTS, generator=1)
    op.mutate_(second, experiences=INPUTS, generator=1)
    torch.testing.assert_close(FlatNetwork(second).flatten(), expected)


def test_a_failed_mutation_leaves_the_module_as_it_was() -> None:
    module = small_module()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match="at least one experience"):
        SMGSum(module, sigma=0.1).mutate_(module, experiences=INPUTS[:0])
    with pytest.raises(ValueError, match=r"expected a parameter '0\.weight' of shape"):
        SMGSum(module, sigma=0.1).mutate_(nn.Sequential(nn.Linear(2, 4)), experiences=INPUTS)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_control_mutates_a_module_without_knowing_a_network() -> None:
    module = small_module()
    before = FlatNetwork(module).flatten()
    GaussianMutation(sigma=0.1).mutate_(module, generator=1)
    torch.testing.assert_close(
        FlatNetwork(module).flatten(), GaussianMutation(sigma=0.1)(before, generator=1)
    )


# What operators say about themselves


@pytest.mark.parametrize("kind", [*OPERATORS.values(), SMG, Mutation])
def test_every_operator_documents_all_its_arguments(kind) -> None:
    text = inspect.getdoc(kind)
    arguments = [name for name in inspect.signature(kind).parameters]
    described = re.findall(r"^    (\w+): \S", text[text.index("Args:") : text.index("Raises:")], re.MULTILINE)
    assert described == arguments
    assert "See " not in text
    assert max(map(len, text.splitlines())) <= 110


def test_operators_say_whether_their_sensitivity_can_be_kept() -> None:
    reusable = {name for name, kind in OPERATORS.items() if kind.reusable_sensitivity}
    assert reusable == {"SM-G-ABS", "SM-G-SUM", "SM-G-RMS"}
    for op in ALL:
        assert hasattr(op, "sensitivity") == op.reusable_sensitivity
        assert op.needs_experiences != isinstance(op, GaussianMutation)


# Making operators by name


def test_make_knows_the_names_of_the_paper() -> None:
    assert [type(op) for op in ALL] == [GaussianMutation, SMR, SMGAbs, SMGSum, SMGSO, SMGRms]
    rescaled: Any = make("SM-R", NETWORK, intensity=0.3)
    summed: Any = make("SM-G-SUM", NETWORK, intensity=0.3, weight_clip=0.2)
    control: Any = make("control", intensity=0.3)
    assert (rescaled.divergence, summed.weight_clip, control.sigma) == (0.3, 0.2, 0.3)
    for name in OPERATORS:
        for domain in (None, "breadcrumb-hard-maze"):
            op = make(name, NETWORK, domain=domain, divergence=0.03)
            assert op.divergence == 0.03
            assert getattr(op, "sigma", None) is None
    toy: Any = make("SM-G-SO", NETWORK, domain="toy", sigma=0.7)
    assert toy.sigma == 0.7


LARGE_SCALE = ("large-scale-32", "large-scale-64", "large-scale-101")


def test_presets_are_table_s1() -> None:
    columns = ("control", "SM-G-SUM", "SM-G-ABS", "SM-G-SO", "SM-R")
    table = {
        "toy": (0.01, 0.5, 0.5, 0.5, 0.5),
        "recurrent-parity": (0.05, 0.001, 0.001, 0.001, 0.005),
        "breadcrumb-hard-maze": (0.05, 0.1, 0.005, 0.01, 0.005),
        **dict.fromkeys(LARGE_SCALE, (0.01, 0.1, None, 0.01, None)),
        "topdown-maze": (0.1, 0.01, None, 0.01, None),
        "first-person-maze": (0.005, 0.01, None, 0.01, None),
    }
    clips = {"toy": 10.0, "breadcrumb-hard-maze": 0.2, **dict.fromkeys(LARGE_SCALE, 0.2)}
    assert set(PRESETS) == set(table)
    for domain, row in table.items():
        for name, value in zip(columns, row, strict=True):
            if value is None:
                with pytest.raises(ValueError, match=f"published intensity in '{domain}'"):
                    make(name, NETWORK, domain=domain)
                continue
            op: Any = make(name, NETWORK, domain=domain)
            assert (op.divergence if name == "SM-R" else op.sigma) == value
            if name.startswith("SM-G"):
                assert op.weight_clip == clips.get(domain)
    own: Any = make("SM-G-SO", NETWORK, domain="toy", intensity=2.0, weight_clip=None, direction="unit")
    assert (own.sigma, own.weight_clip, own.direction) == (2.0, None, "unit")


# Bad input: one clear line each

NAN = PARENTS.copy()
NAN[2, 1] = np.nan
INFINITE = INPUTS.copy()
INFINITE[0, 0] = np.inf


@gradient_operators
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"params": PARENTS[:, :-1]}, ValueError, rf"genome of shape \(N, {P}\), got \(4, {P - 1}\)"),
        ({"params": PARENTS[0, :-1]}, ValueError, rf"genome of shape \({P},\), got \({P - 1},\)"),
        ({"params": PARENTS[None]}, ValueError, r"got \(1, 4, 26\)"),
        ({"params": PARENTS[:0]}, ValueError, r"got \(0, 26\)"),
        ({"params": PARENTS.tolist()}, TypeError, r"numpy array or a tensor \(.*\), got list"),
        ({"params": PARENTS.astype(int)}, TypeError, "floating-point dtype, got int64"),
        ({"params": torch.ones(P, dtype=torch.int32)}, TypeError, "floating-point dtype, got torch.int32"),
        ({"params": NAN}, ValueError, "a finite genome, got 1 values that are nan or inf for parent 2"),
        ({"experiences": None}, ValueError, r"expected experiences of shape \(I, \.\.\.\), got none"),
        ({"experiences": INPUTS[:0]}, ValueError, r"at least one experience, got .* \(0, 3\)"),
        (
            {"experiences": INPUTS[:, :2]},
            ValueError,
            r"a network that can take .* and experiences .*, 2\)",
        ),
        ({"experiences": np.float32(1)}, ValueError, r"experiences of shape \(I, \.\.\.\).*got \(\)"),
        ({"experiences": np.array(["a"])}, TypeError, "numeric dtype, got <U1"),
        ({"experiences": {}}, ValueError, "got an empty dict"),
        ({"experiences": [[1.0, 2.0], [3.0]]}, ValueError, "got a list of unequal parts"),
        (
            {"experiences": {"a": INPUTS, "b": INPUTS[:3]}},
            ValueError,
            r"with the same I, got \(12, 3\), \(3, 3\)",
        ),
        (
            {"experiences": INPUTS.astype(int)},
            ValueError,
            "experiences that are integers stay so: give .* floats",
        ),
        (
            {"experiences": INFINITE},
            ValueError,
            "expected finite .*, got .* nan or inf for parent 0; so are some in the experiences",
        ),
        ({"per_parent": True}, ValueError, r"experiences of shape \(4, I, \.\.\.\), got \(12, 3\)"),
        ({"params": PARENTS[0], "per_parent": True}, ValueError, "got a single genome"),
        ({"generator": [1, 2]}, ValueError, r"one generator per parent \(4\), got 2"),
        ({"generator": -1}, ValueError, "a seed that is not negative, got -1"),
        ({"generator": "7"}, TypeError, "expected generator to be an int, .*, got str"),
        ({"generator": True}, TypeError, "expected generator to be an int, .*, got bool"),
    ],
)
def test_bad_calls(op, arguments: dict, error: type, message: str) -> None:
    call = {"params": PARENTS, "experiences": INPUTS, "generator": 1} | arguments
    with pytest.raises(error, match=message):
        op(call.pop("params"), **call)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sensitivity": np.ones((3, P))}, rf"a sensitivity of shape \(4, {P}\), got \(3, {P}\)"),
        ({"sensitivity": NAN}, "finite sensitivities|negative values"),
        ({"sensitivity": -np.ones((4, P))}, "negative values"),
    ],
)
def test_bad_sensitivities(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMGSum(NETWORK, sigma=0.1)(PARENTS, **arguments)


@every_operator
def test_experiences_are_keyword_only(op) -> None:
    """Libraries that pass an argument of their own must not see it taken for experiences."""
    with pytest.raises(TypeError, match="positional argument"):
        op(PARENTS, INPUTS)


@pytest.mark.parametrize(
    ("make_one", "error", "message"),
    [
        (lambda: SMGSum(NETWORK, sigma=0), ValueError, "sigma to be a positive number, got 0"),
        (lambda: SMGSum(NETWORK, sigma=-1.0), ValueError, "sigma to be a positive number, got -1.0"),
        (lambda: SMGSum(NETWORK, sigma=float("nan")), ValueError, "sigma to be a positive number, got nan"),
        (lambda: GaussianMutation(sigma="0.1"), ValueError, "sigma to be a positive number, got '0.1'"),
        (lambda: SMR(NETWORK, divergence=0), ValueError, "divergence to be a positive number"),
        (lambda: SMR(NETWORK, divergence=1, max_passes=2), ValueError, "integer of at least 3"),
        (lambda: SMGSum(NETWORK, sigma=1, floor=0), ValueError, "floor to be a positive number"),
        (lambda: SMGSum(NETWORK, sigma=1, weight_clip=0), ValueError, "weight_clip to be a positive number"),
        (
            lambda: SMGSum(NETWORK, sigma=1, chunk_size=0),
            ValueError,
            "chunk_size to be an integer of at least 1",
        ),
        (lambda: SMGSum(NETWORK, sigma=1, max_experiences=0), ValueError, "max_experiences to be an integer"),
        (
            lambda: SMGSO(NETWORK, sigma=1, direction="up"),
            ValueError,
            "direction to be 'raw' or 'unit', got 'up'",
        ),
        (lambda: SMGSum(None, sigma=1), TypeError, "network to be callable, got NoneType"),
        (
            lambda: make("SM-X", NETWORK, intensity=1),
            ValueError,
            "'control', 'SM-R', 'SM-G-ABS', .*got 'SM-X'",
        ),
        (
            lambda: make("SM-R", NETWORK),
            ValueError,
            "expected intensity, divergence or domain for SM-R, got none",
        ),
        (lambda: make("SM-R", NETWORK, domain="chess"), ValueError, "one of .*'toy', .*got 'chess'"),
        (lambda: make("SM-R", NETWORK, intensity=1, weight_clip=1), TypeError, "weight_clip"),
    ],
)
def test_bad_settings(make_one, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make_one()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(P - 1, bool), r"a mask of shape \(26,\) and dtype bool, got \(25,\)"),
        (np.ones(P), "and dtype bool, got .* torch.float64"),
        (np.zeros(P, bool), "at least one weight"),
    ],
)
def test_bad_masks(mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMGSum(NETWORK, sigma=1, mask=mask)(PARENTS, experiences=INPUTS)


@gradient_operators
def test_networks_without_gradients_are_sent_to_smr(op) -> None:
    numpy_network = NumpyNetwork(lambda w, x: x @ w.reshape(3, 1))
    for network in (numpy_network, lambda w, x: (x @ w.view(-1, 3, 1)).detach()):
        with pytest.raises(TypeError, match=r"differentiable in params.*SMR works with any network"):
            type(op)(network, sigma=0.1)(np.ones(3), experiences=INPUTS.astype(float))


@pytest.mark.parametrize("op", [*GRADIENT, ALL[1]], ids=named)  # the control asks the network for nothing
@pytest.mark.parametrize(
    ("outputs", "error", "message"),
    [
        (lambda y: (y, y), TypeError, "return one tensor, got tuple"),
        (lambda y: None, TypeError, "return one tensor, got NoneType"),
        (lambda y: y[:, :, :0], ValueError, r"at least one output, got outputs of shape \(1, 12, 0\)"),
        (lambda y: y[:, :, 0], ValueError, r"\(N, I, K\) or \(N, I, T, K\) .*, got \(1, 12\)"),
        (lambda y: y.sum(1), ValueError, r"\(N, I, K\) .*, got \(1, 2\)"),
        (lambda y: y * float("nan"), ValueError, "expected finite .*, got .* for parent 0"),
    ],
)
def test_bad_outputs(op, outputs, error: type, message: str) -> None:
    def network(params: Tensor, x: Tensor) -> Tensor:
        return outputs(torch.tanh(x @ params.view(-1, 3, 2)))

    with pytest.raises(error, match=message):
        type(op)(**{**vars(op), "network": network})(np.ones(6), experiences=INPUTS.astype(float))


@gradient_operators
def test_a_saturated_network_is_mutated_like_the_control(op) -> None:
    """All sensitivities are zero, so that no weight is rescaled."""

    def network(params: Tensor, x: Tensor) -> Tensor:
        return torch.relu(x @ params.view(-1, 3, 2) - 1e6)

    parents = PARENTS[:, :6].astype(np.float64)
    children, info = type(op)(network, sigma=0.1)(parents, experiences=INPUTS, generator=1, return_info=True)
    assert info.zero.tolist() == [1.0] * 4
    np.testing.assert_allclose(children, parents + delta(1, 0.1, parents), rtol=1e-12)
