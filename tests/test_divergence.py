"""Operators told how far behaviour may change: the step is as long as that takes, on any network."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, Kind
from safe_mutation import (
    SMGSO,
    SMR,
    DivergenceNotReached,
    FlatNetwork,
    GaussianMutation,
    SMGAbs,
    SMGRms,
    SMGSum,
    make,
    scaling,
)
from safe_mutation.experiences import take

GRADIENT = [SMGSum, SMGAbs, SMGRms, SMGSO]
every_kind = pytest.mark.parametrize("kind", [GaussianMutation, SMR, *GRADIENT])
gradient_kinds = pytest.mark.parametrize("kind", GRADIENT)


def deep_network(seed: int = 0) -> FlatNetwork:
    """Eight narrow SELU layers with sigmoid outputs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(5, 6), nn.SELU()]
        for _ in range(7):
            layers += [nn.Linear(6, 6), nn.SELU()]
        return FlatNetwork(nn.Sequential(*layers, nn.Linear(6, 2), nn.Sigmoid()))


NETWORK = deep_network()
P = NETWORK.num_params
INPUTS = np.random.default_rng(0).random((30, 5))
PARENTS = np.stack([deep_network(seed).flatten().numpy() for seed in range(6)]).astype(np.float64)


def divergence_of(network, parent: np.ndarray, child: np.ndarray, experiences) -> float:
    """Equation 1, one experience after the other."""
    squares = []
    for i in range(len(experiences)):
        one = torch.as_tensor(experiences[i : i + 1])
        before, after = (network(torch.from_numpy(w), one) for w in (parent, child))
        squares.append(float((before - after).square().sum()))
    return float(np.mean(squares))


# The promise


@every_kind
@pytest.mark.parametrize("wanted", [1e-4, 0.01, 0.1])
def test_children_diverge_as_asked(kind, wanted: float) -> None:
    op = kind(NETWORK, divergence=wanted)
    children, info = op(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    assert info.status == ["converged"] * 6
    for n in range(6):
        reached = divergence_of(NETWORK, PARENTS[n], children[n], INPUTS)
        assert reached == pytest.approx(wanted, rel=0.1)
        assert info.divergence[n] == pytest.approx(reached, rel=1e-6)


@gradient_kinds
@pytest.mark.parametrize("network_kind", KINDS, ids=lambda kind: kind.name)
def test_on_every_kind_of_network(kind, network_kind: Kind) -> None:
    network, parents = network_kind.network(), network_kind.genomes(2)
    experiences = network_kind.experiences(5, torch.Generator().manual_seed(0))
    op = kind(network, divergence=1e-3)
    children, info = op(parents, experiences=experiences, generator=1, return_info=True)
    assert info.status == ["converged"] * 2
    for parent, child in zip(parents, children, strict=True):
        outputs = [network(w[None], take(experiences, None)) for w in (parent, child)]
        reached = (outputs[0] - outputs[1]).square().sum(-1).mean()
        torch.testing.assert_close(reached, torch.tensor(1e-3).double(), rtol=0.1, atol=0)


@gradient_kinds
@pytest.mark.parametrize("network_kind", [KINDS[0], KINDS[7], KINDS[11]], ids=lambda kind: kind.name)
def test_few_passes_are_enough(kind, network_kind: Kind) -> None:
    network = network_kind.network()
    experiences = network_kind.experiences(20, torch.Generator().manual_seed(0))
    op = kind(network, divergence=0.01)
    passes = [
        op(parent, experiences=experiences, generator=seed, return_info=True)[1].forward_passes
        for parent in network_kind.genomes(5)
        for seed in range(5)
    ]
    assert np.median(passes) <= 4  # the parent's own included
    assert max(passes) <= 8


@gradient_kinds
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_scale_of_the_outputs_does_not_matter(kind, factor: float) -> None:
    """Outputs in other units give the same children, if the divergence is in those units too."""

    def scaled(params: Tensor, x: Tensor) -> Tensor:
        return factor * NETWORK(params, x)

    expected = kind(NETWORK, divergence=0.01)(PARENTS, experiences=INPUTS, generator=1)
    children = kind(scaled, divergence=0.01 * factor**2)(PARENTS, experiences=INPUTS, generator=1)
    np.testing.assert_allclose(children, expected, rtol=1e-6, atol=1e-9)


def test_so_needs_no_direction() -> None:
    raw, unit = (SMGSO(NETWORK, divergence=0.01, direction=name) for name in ("raw", "unit"))
    call = {"experiences": INPUTS, "generator": 1}
    np.testing.assert_allclose(raw(PARENTS, **call), unit(PARENTS, **call), rtol=1e-6)


# Which divergence


@every_kind
def test_a_divergence_for_each_parent(kind) -> None:
    wanted = [1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1]
    for given in (wanted, np.array(wanted)):
        op = kind(NETWORK, divergence=given)
        _, info = op(PARENTS, experiences=INPUTS, generator=1, return_info=True)
        np.testing.assert_allclose(info.divergence, wanted, rtol=0.1)
    with pytest.raises(ValueError, match=r"one divergence per parent \(2\), got 6"):
        op(PARENTS[:2], experiences=INPUTS)
    with pytest.raises(ValueError, match="expected a divergence for each parent, got an empty list"):
        kind(NETWORK, divergence=[])


def test_a_pair_is_drawn_from_log_uniformly_without_moving_the_noise() -> None:
    parents = np.repeat(PARENTS[:1], 400, axis=0)
    op = SMR(NETWORK, divergence=(1e-4, 1e-2))
    children, info = op(parents, experiences=INPUTS, generator=5, return_info=True)
    logs = np.log10(info.divergence)
    assert -4.01 < logs.min() < -3.95
    assert -2.05 < logs.max() < -1.99
    assert abs(logs.mean() + 3) < 0.1
    assert abs(np.histogram(logs, 4, (-4.01, -1.99))[0] / 100 - 1).max() < 0.35
    fixed = SMR(NETWORK, divergence=0.01)(parents, experiences=INPUTS, generator=5)
    steps, others = children - parents, fixed - parents
    cosine = (steps * others).sum(1) / np.linalg.norm(steps, axis=1) / np.linalg.norm(others, axis=1)
    np.testing.assert_allclose(cosine, 1, rtol=1e-9)


@every_kind
def test_a_batch_equals_single_calls(kind) -> None:
    op = kind(NETWORK, divergence=(1e-3, 0.05), max_experiences=20)
    seeds = list(range(6))
    children = op(PARENTS, experiences=INPUTS, generator=seeds)
    chunked = kind(NETWORK, divergence=(1e-3, 0.05), max_experiences=20, chunk_size=4)
    np.testing.assert_allclose(
        chunked(PARENTS, experiences=INPUTS, generator=seeds), children, rtol=1e-9, atol=1e-12
    )
    for n, parent in enumerate(PARENTS):
        alone = op(parent, experiences=INPUTS, generator=n)
        np.testing.assert_allclose(alone, children[n], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [SMGSum, SMGAbs, SMGRms])
@pytest.mark.parametrize("maximum", [None, 20])
def test_a_kept_sensitivity_gives_the_same_children(kind, maximum) -> None:
    op = kind(NETWORK, divergence=0.01, max_experiences=maximum)
    kept = op.sensitivity(PARENTS, experiences=INPUTS, generator=3)
    children = op(PARENTS, experiences=INPUTS, sensitivity=kept, generator=3)
    np.testing.assert_array_equal(children, op(PARENTS, experiences=INPUTS, generator=3))
    with pytest.raises(ValueError, match="expected experiences"):  # they are needed for the search
        op(PARENTS, sensitivity=kept)


# What the direction is


def test_the_relative_rule_equals_its_formula() -> None:
    generator = np.random.default_rng(0)
    s = np.exp(3 * generator.normal(size=(3, 200)))
    s[0, :20] = 0
    s[1, :5] = 1e-17 * s[1].max()  # rounding noise
    mask = generator.random(200) < 0.7
    given = torch.from_numpy(s)
    found = scaling.relative(given, scaling.insensitive(given, 1), torch.from_numpy(mask)).numpy()
    for row, values in zip(found, s, strict=True):
        without = values <= 2.3e-16 * values.max()
        mean = np.mean(values[mask & ~without] ** 2)
        expected = np.sqrt(values**2 + 0.01 * mean)
        expected[without] = 1 / np.mean(1 / expected[mask & ~without])
        np.testing.assert_allclose(row * values.max(), expected, rtol=1e-12)


@gradient_kinds
def test_weights_without_effect_take_a_typical_step(kind) -> None:
    """Not the control's step, nor that of the floor: sensitivities here are around 1e-6 and 0."""
    slopes = torch.cat([torch.zeros(300), 1e-6 * (1 + torch.rand(300, generator=torch.Generator()))]).double()

    def network(params: Tensor, x: Tensor) -> Tensor:
        return (params * slopes)[:, None, :] * x

    parent, inputs = np.zeros(600), np.ones((1, 600))
    child, info = kind(network, divergence=1e-12)(parent, experiences=inputs, generator=1, return_info=True)
    assert info.zero == 0.5
    lengths = np.abs(child).reshape(2, 300).mean(1)
    assert 0.5 < lengths[0] / lengths[1] < 2


@gradient_kinds
def test_rounding_noise_counts_as_zero(kind) -> None:
    """A key's bias shifts all scores of a query alike, which softmax ignores: its gradient is exactly 0."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x, x, x)[0].mean(1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FlatNetwork(Attention())
        nn.init.normal_(bias := torch.empty(24))
        genome = network.flatten()
        places = network.mask("layer.in_proj_bias").nonzero()[:, 0]
        genome[places] = bias
        inputs = torch.randn(20, 6, 8)
    child, info = kind(network, sigma=0.01)(genome, experiences=inputs, generator=1, return_info=True)
    key = places[8:16]
    assert (info.sensitivity[key] < 1e-3 * info.sensitivity.median()).all()
    assert info.zero == pytest.approx(8 / len(genome), abs=0.005)
    delta = GaussianMutation(sigma=0.01)(torch.zeros_like(genome), generator=1)
    torch.testing.assert_close((child - genome)[key], delta[key], rtol=1e-3, atol=1e-7)  # not 100 times it


def test_the_clip_limits_steps_of_single_weights() -> None:
    op = SMGAbs(NETWORK, divergence=1e-4, weight_clip=0.05)
    children, info = op(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    steps = np.abs(children - PARENTS)
    assert steps.max() <= 0.05 * (1 + 1e-9)
    np.testing.assert_allclose(info.clipped, (steps > 0.05 * (1 - 1e-9)).mean(1), rtol=1e-9)
    assert (info.clipped > 0).any()
    np.testing.assert_allclose(info.divergence, 1e-4, rtol=0.1)


@gradient_kinds
def test_masked_weights_stay(kind) -> None:
    mask = NETWORK.mask("*.weight")
    op = kind(NETWORK, divergence=0.01, mask=mask)
    children, info = op(PARENTS, experiences=INPUTS, generator=1, return_info=True)
    np.testing.assert_array_equal(children[:, ~mask.numpy()], PARENTS[:, ~mask.numpy()])
    np.testing.assert_allclose(info.divergence, 0.01, rtol=0.1)


# What cannot be reached


@every_kind
def test_unreachable_divergences_are_reported(kind) -> None:
    op = kind(NETWORK, divergence=5.0)  # two sigmoids diverge by less than 2
    with pytest.warns(
        DivergenceNotReached, match="6 of 6 children miss divergence=5.0: parent 0 reached"
    ) as caught:
        children = op(PARENTS, experiences=INPUTS, generator=0)
    assert caught[0].filename == __file__  # the warning names the caller's line
    again, info = op(PARENTS, experiences=INPUTS, generator=0, return_info=True)
    np.testing.assert_array_equal(children, again)
    assert np.isfinite(children).all()
    assert set(info.status) <= {"saturated", "jump", "exhausted"}
    assert (info.divergence < 2).all()


@gradient_kinds
def test_a_dead_network_is_reported(kind) -> None:
    def dead(params: Tensor, x: Tensor) -> Tensor:
        return torch.relu(x @ params.view(-1, 5, 2) - 1e6)

    parents = np.random.default_rng(0).normal(size=(2, 10))
    children, info = kind(dead, divergence=0.1)(parents, experiences=INPUTS, generator=1, return_info=True)
    assert info.status == ["saturated"] * 2
    assert info.divergence.tolist() == [0, 0]
    assert np.abs(children - parents).max() < 10


# From a divergence to sigma


@pytest.mark.parametrize("wanted", [1e-3, 0.05])
@pytest.mark.parametrize(
    "op",
    [
        GaussianMutation(NETWORK, sigma=1.0),
        SMGSum(NETWORK, sigma=1.0),
        SMGAbs(NETWORK, divergence=1.0),
        SMGRms(NETWORK, sigma=0.1, weight_clip=2.0),
        SMGSO(NETWORK, sigma=0.1),
        SMGSO(NETWORK, sigma=0.1, direction="unit"),
        make("SM-G-SO", NETWORK, domain="toy"),
    ],
    ids=lambda op: type(op).__name__,
)
def test_calibrated_operators_reach_the_divergence_in_the_median(op, wanted: float) -> None:
    own = op.calibrate(PARENTS, experiences=INPUTS, divergence=wanted, generator=1)
    assert type(own) is type(op)
    assert own.divergence is None
    _, info = own(np.repeat(PARENTS, 15, 0), experiences=INPUTS, generator=2, return_info=True)
    assert wanted / 1.5 < np.median(info.divergence) < wanted * 1.5
    one = op.calibrate(PARENTS[0], experiences=INPUTS, divergence=wanted, generator=1)
    assert one.sigma != own.sigma
    again = op.calibrate(PARENTS, experiences=INPUTS, divergence=wanted, generator=1)
    assert again.sigma == own.sigma


def test_a_calibration_does_not_give_up_before_it_has_found_a_sigma() -> None:
    few, many = (SMGSO(NETWORK, divergence=0.03, max_passes=passes) for passes in (3, 40))
    sigmas = [
        op.calibrate(PARENTS, experiences=INPUTS, divergence=0.03, generator=1).sigma for op in (few, many)
    ]
    assert sigmas[0] == sigmas[1]


@gradient_kinds
@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_a_calibrated_divergence_knows_no_unit_of_the_outputs(kind, unit: float) -> None:
    """By the paper's floor of 0.01 children of small outputs were those of the control."""

    def scaled(params: Tensor, x: Tensor) -> Tensor:
        return unit * NETWORK(params, x)

    children = []
    for network, wanted in ((NETWORK, 0.01), (scaled, 0.01 * unit**2)):
        op = kind(network, divergence=wanted)
        own = op.calibrate(PARENTS, experiences=INPUTS, divergence=wanted, generator=1)
        child, info = own(PARENTS, experiences=INPUTS, generator=2, return_info=True)
        assert info.floored is None
        children.append(child - PARENTS)
    ratio = children[0] / children[1]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)
    assert 0.9 < ratio[0, 0] < 1.1  # that of two medians, each within the search's tolerance


@pytest.mark.parametrize("detailed", [False, True])
def test_without_a_floor_small_sensitivities_are_damped(detailed: bool) -> None:
    """With sigma as with a divergence, by the root mean square of each parent's own."""
    slopes = np.array([2.0, 1e-3, 0.5, 0.0, 3.0])
    mask = np.array([True, True, True, True, False])
    given = torch.from_numpy(slopes)
    op = SMGSum(
        lambda params, x: (params * given)[:, None, :] * x, sigma=0.1, floor=None, mask=mask, weight_clip=0.3
    )
    parents, inputs = np.zeros((2, 5)), np.array([[1.0] * 5])
    child = op(parents, experiences=inputs, generator=3, return_info=detailed)
    noise = np.where(mask, np.random.Generator(np.random.Philox(3)).standard_normal((2, 5)), 0)
    scale = np.sqrt(slopes**2 + 0.01 * np.mean(slopes[:3] ** 2))
    scale[3] = 1 / np.mean(1 / scale[:3])  # without effect: the mean step of the others
    expected = np.clip(0.1 * noise / scale, -0.3, 0.3)
    np.testing.assert_allclose(child[0] if detailed else child, expected, rtol=1e-12)


def test_a_divergence_may_be_a_tensor() -> None:
    for given, number in ((torch.tensor(0.25), 0.25), (torch.tensor([0.25, 0.5]), [0.25, 0.5])):
        assert SMGSum(NETWORK, divergence=given).divergence == number


def test_a_list_of_two_that_was_meant_as_a_pair_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"per parent \(3\), got 2: to draw .* the tuple \(0\.25, 0\.5\)"):
        SMGSum(NETWORK, divergence=[0.25, 0.5])(PARENTS[:3], experiences=INPUTS)


def test_calibration_says_when_a_divergence_is_out_of_reach() -> None:
    with pytest.raises(ValueError, match=r"children of these parents can reach, got 5: \d+ of \d+ cannot"):
        SMGSum(NETWORK, sigma=0.1).calibrate(PARENTS, experiences=INPUTS, divergence=5.0, generator=1)
    with pytest.raises(TypeError, match="expected GaussianMutation with a network"):
        GaussianMutation(sigma=0.1).calibrate(PARENTS, experiences=INPUTS, divergence=0.1)
    assert not hasattr(SMR, "calibrate")


# Bad input


@pytest.mark.parametrize("kind", [GaussianMutation, *GRADIENT])
def test_exactly_one_of_sigma_and_divergence(kind) -> None:
    with pytest.raises(ValueError, match="expected either sigma or divergence, got neither"):
        kind(NETWORK)
    with pytest.raises(ValueError, match=r"either sigma or divergence, got sigma=0.1 and divergence=0.2"):
        kind(NETWORK, sigma=0.1, divergence=0.2)


@pytest.mark.parametrize(
    ("divergence", "message"),
    [
        (0, "divergence to be a positive number, got 0"),
        (-1.0, "divergence to be a positive number, got -1.0"),
        (float("nan"), "divergence to be a positive number, got nan"),
        ("0.1", "divergence to be a positive number, got '0.1'"),
        ((0.1, 0.01), r"a pair \(low, high\), got \(0.1, 0.01\)"),
        ((0.1,), r"a pair \(low, high\), got \(0.1,\)"),
        ((0.0, 0.1), "divergence to be a positive number, got 0.0"),
        ([0.1, -0.1], "divergence to be a positive number, got -0.1"),
        (np.array([0.1, np.inf]), "divergence to be a positive number, got inf"),
    ],
)
@pytest.mark.parametrize("kind", [SMR, SMGSum])
def test_bad_divergences(kind, divergence, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(NETWORK, divergence=divergence)


def test_constants_of_the_output_scale_belong_to_sigma() -> None:
    for option in ({"floor": 0.1}, {"zero": 2.0}):
        with pytest.raises(ValueError, match="floor and zero with sigma only"):
            SMGSum(NETWORK, divergence=0.1, **option)
    with pytest.raises(ValueError, match=r"expected zero with a floor only, got 2\.0 with floor=None"):
        SMGSum(NETWORK, sigma=0.1, zero=2.0, floor=None)
    with pytest.raises(TypeError, match="network to be callable, got NoneType"):
        GaussianMutation(divergence=0.1)
    with pytest.raises(ValueError, match="GaussianMutation expected experiences"):
        GaussianMutation(NETWORK, divergence=0.1)(PARENTS)
