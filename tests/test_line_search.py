"""SM-R: the search reaches its target, or says why not."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from safe_mutation import SMR, DivergenceNotReached, FlatNetwork, NumpyNetwork, sensitivity
from safe_mutation.line_search import along, search


def deep_network(seed: int = 0) -> FlatNetwork:
    """Eight narrow SELU layers with sigmoid outputs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(5, 6), nn.SELU()]
        for _ in range(7):
            layers += [nn.Linear(6, 6), nn.SELU()]
        return FlatNetwork(nn.Sequential(*layers, nn.Linear(6, 2), nn.Sigmoid()))


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(0).random((30, 5), dtype=np.float32)


@pytest.mark.parametrize("target", [1e-5, 1e-3, 5e-3, 0.05, 0.2])
def test_targets_are_met_within_a_percent(target: float, inputs: np.ndarray) -> None:
    network = deep_network()
    parents = np.stack([deep_network(seed).flatten().numpy() for seed in range(12)])
    op = SMR(network, divergence=target)
    children, info = op(parents, experiences=inputs, generator=1, return_info=True)
    assert info.status == ["converged"] * 12
    shared = torch.from_numpy(inputs).expand(12, 30, 5)
    reached = sensitivity.divergence(network, torch.from_numpy(parents), torch.from_numpy(children), shared)
    np.testing.assert_allclose(reached, target, rtol=0.0101)
    np.testing.assert_allclose(reached, info.divergence, rtol=1e-5)
    if target <= 5e-3:
        assert info.forward_passes <= 10  # twelve in lockstep, the parents' own outputs included


def test_steps_are_positive_multiples_of_a_random_direction(inputs: np.ndarray) -> None:
    network = deep_network()
    parent = network.flatten().numpy().astype(np.float64)
    child = SMR(network, divergence=0.01)(parent, experiences=inputs, generator=4)
    direction = np.random.Generator(np.random.Philox(4)).standard_normal(len(parent))
    ratio = (child - parent) / direction
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] > 0


def test_lockstep_equals_single_searches(inputs: np.ndarray) -> None:
    network = deep_network()
    parents = np.stack([deep_network(seed).flatten().numpy() for seed in range(6)]).astype(np.float64)
    op = SMR(network, divergence=0.1)
    together = op(parents, experiences=inputs, generator=list(range(6)))
    for n, parent in enumerate(parents):
        np.testing.assert_allclose(op(parent, experiences=inputs, generator=n), together[n], rtol=1e-9)
    chunked, info = SMR(network, divergence=0.1, chunk_size=4)(
        parents, experiences=inputs, generator=list(range(6)), return_info=True
    )
    np.testing.assert_allclose(chunked, together, rtol=1e-9)
    assert info.status == ["converged"] * 6
    assert info.divergence.shape == (6,)


def test_an_unreachable_target_is_reported(inputs: np.ndarray) -> None:
    """Two sigmoids diverge by less than 2."""
    network = deep_network()
    parent = network.flatten().numpy()
    op = SMR(network, divergence=5.0)
    with pytest.warns(
        DivergenceNotReached, match=r"1 of 1 children miss divergence=5.0: parent 0 reached .* \(saturated\)"
    ) as caught:
        child = op(parent, experiences=inputs, generator=0)
    assert caught[0].filename == __file__
    _, info = op(parent, experiences=inputs, generator=0, return_info=True)
    assert info.status == "saturated"
    assert 0 < info.divergence < 2
    assert np.isfinite(child).all()
    assert not np.array_equal(child, parent)


def test_a_dead_network_gets_a_small_step(inputs: np.ndarray) -> None:
    """Outputs that never change: the step tried first, not the huge one tried last."""
    dead = NumpyNetwork(lambda params, x: np.ones((len(x), 2)))
    child, info = SMR(dead, divergence=0.1)(
        np.ones(50, np.float32), experiences=inputs, generator=0, return_info=True
    )
    assert info.status == "saturated"
    assert info.divergence == 0
    assert 0 < np.abs(child - 1).max() < 1


def test_a_divergence_that_jumps_over_the_target(inputs: np.ndarray) -> None:
    def threshold(params: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 1), float(params.sum() > 3.0))

    parent = np.full(4, 0.5)
    for seed in range(4):
        child, info = SMR(NumpyNetwork(threshold), divergence=0.25)(
            parent, experiences=inputs, generator=seed, return_info=True
        )
        assert info.status in ("jump", "saturated")
        assert info.divergence in (0.0, 1.0)
    assert not np.array_equal(child, parent)


@pytest.mark.parametrize(("tolerance", "passes"), [(0.25, 15), (0.1, 17), (0.01, 20)])
def test_a_jump_is_recognised_as_soon_as_it_matters(
    tolerance: float, passes: int, inputs: np.ndarray
) -> None:
    """Where outputs leap, a narrower bracket costs passes and finds no better child."""

    def threshold(params: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 1), float(params.sum() > 3.0))

    op = SMR(NumpyNetwork(threshold), divergence=0.25, tolerance=tolerance)
    jumped = 0
    for seed in range(20):
        _, info = op(np.full(4, 0.5), experiences=inputs, generator=seed, return_info=True)
        if info.status == "jump":  # some directions lead away
            jumped += 1
            assert info.forward_passes <= passes
    assert jumped > 5


def test_a_search_out_of_passes(inputs: np.ndarray) -> None:
    network = deep_network()
    op = SMR(network, divergence=1e-12, tolerance=1e-9, max_passes=4)
    _, info = op(network.flatten().double(), experiences=inputs, generator=0, return_info=True)
    assert info.status == "exhausted"
    assert info.forward_passes == 4


def test_overflowing_outputs_count_as_too_far() -> None:
    def network(params: Tensor, x: Tensor) -> Tensor:
        return torch.exp(40 * params[:, None, :1].abs()) * x

    parents, directions = torch.zeros(1, 1), torch.ones(1, 1)
    one = np.ones(1)
    found = search(network, parents, along(directions), torch.ones(1, 3, 1), 1e4 * one, 1e-3 * one)
    assert found.status == ["converged"]
    expected = np.log(101) / 40  # exp(40 m) - 1 = 100
    np.testing.assert_allclose(found.magnitude, expected, rtol=2e-3)


def test_the_magnitude_of_a_linear_network_is_known() -> None:
    """y = w x, so that divergence = m^2 mean(x^2)."""

    def network(params: Tensor, x: Tensor) -> Tensor:
        return params[:, None, :] * x

    x = torch.tensor([[[1.0], [3.0]]], dtype=torch.float64)
    parents, first = torch.ones(1, 1).double(), np.array([0.1])
    found = search(network, parents, along(parents), x, np.array([0.8]), first, tolerance=1e-9)
    np.testing.assert_allclose(found.magnitude, 0.4, rtol=1e-8)
    assert found.passes <= 4


def test_parents_without_finite_outputs_are_refused() -> None:
    def network(params: Tensor, x: Tensor) -> Tensor:
        return torch.log(params[:, None, :1]) * x

    parents = torch.tensor([[1.0], [-1.0]])
    with pytest.raises(ValueError, match=r"finite outputs, got 3 values .* for parent 1"):
        SMR(network, divergence=0.1)(parents, experiences=torch.ones(3, 1), generator=0)
    with pytest.raises(ValueError, match="for parent 1"):
        SMR(network, divergence=0.1, chunk_size=1)(parents, experiences=torch.ones(3, 1), generator=0)


def test_a_numpy_function_batched_or_not(inputs: np.ndarray) -> None:
    def single(params: np.ndarray, x: np.ndarray) -> np.ndarray:
        assert isinstance(params, np.ndarray) and isinstance(x, np.ndarray)
        return np.round(8 * np.tanh(x @ params.reshape(5, 2))) / 8  # quantised: no gradient

    def batched(params: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.round(8 * np.tanh(x @ params.reshape(-1, 5, 2))) / 8

    parents = np.random.default_rng(1).normal(size=(3, 10))
    one = SMR(NumpyNetwork(single), divergence=0.02, tolerance=0.1)
    many = SMR(NumpyNetwork(batched, batched=True), divergence=0.02, tolerance=0.1)
    expected, info = many(parents, experiences=inputs, generator=3, return_info=True)
    np.testing.assert_allclose(info.divergence, 0.02, rtol=0.1)
    np.testing.assert_array_equal(
        one(parents, experiences=inputs, generator=3, return_info=True)[0], expected
    )
