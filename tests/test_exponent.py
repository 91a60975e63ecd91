"""Steps along delta / s^exponent: the direction against a loop over weights, and what it must not change."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from evolution.record import describe
from network_kinds import KINDS, naive_jacobian
from safe_mutation import SMGSO, SMGAbs, SMGRms, SMGSum
from safe_mutation.noise import read_generator, standard_normal

KIND = KINDS[0]
NETWORK, PARENT = KIND.network(), KIND.genomes(1)[0]
INPUTS = KIND.experiences(7, torch.Generator().manual_seed(0))
GRADIENT = [SMGSum, SMGAbs, SMGRms, SMGSO]


def sensitivities(kind: type, jacobian: Tensor, delta: np.ndarray) -> np.ndarray:
    """s (P,), one experience and output after the other, from their gradients."""
    number, outputs, weights = jacobian.shape
    summed, absolute = np.zeros((outputs, weights)), np.zeros((outputs, weights))
    squares, product = np.zeros(weights), np.zeros(weights)
    for i in range(number):
        for k in range(outputs):
            gradient = jacobian[i, k].numpy()
            summed[k] += gradient
            absolute[k] += abs(gradient) / number
            squares += gradient**2 / number
            product += 2 / number * gradient * (gradient @ delta)
    by_kind = {
        SMGSum: np.sqrt((summed**2).sum(0)),
        SMGAbs: np.sqrt((absolute**2).sum(0)),
        SMGRms: np.sqrt(squares),
        SMGSO: np.sqrt(abs(product)),
    }
    return by_kind[kind]


@pytest.mark.parametrize("kind", GRADIENT)
@pytest.mark.parametrize("exponent", [0.5, 1, 2])
def test_the_direction_of_a_step(kind, exponent: float) -> None:
    delta = standard_normal(read_generator(5, 1).noise, PARENT[None])[0].numpy()
    s = sensitivities(kind, naive_jacobian(NETWORK, PARENT, INPUTS), delta)
    direction = np.empty_like(s)
    for w, value in enumerate(s):
        direction[w] = delta[w] / np.sqrt(value**2 + 0.01 * (s**2).mean()) ** exponent
    op = kind(NETWORK, divergence=1e-3, exponent=exponent)
    child, info = op(PARENT, experiences=INPUTS, generator=5, return_info=True)
    step = (child - PARENT).numpy()
    np.testing.assert_allclose(step / np.linalg.norm(step), direction / np.linalg.norm(direction), atol=1e-8)
    assert info.divergence == pytest.approx(1e-3, rel=0.1)


@pytest.mark.parametrize("exponent", [0.25, 0.5, 2])
def test_weights_without_effect_take_the_mean_step_of_the_others(exponent: float) -> None:
    slopes = torch.cat([torch.zeros(300), 1e-6 * (1 + torch.rand(300, generator=torch.Generator()))]).double()

    def network(params: Tensor, x: Tensor) -> Tensor:
        return (params * slopes)[:, None, :] * x

    op = SMGRms(network, divergence=1e-12, exponent=exponent, probes=None)
    child = op(np.zeros(600), experiences=np.ones((1, 600)), generator=1)
    lengths = np.abs(child).reshape(2, 300).mean(1)
    assert 0.8 < lengths[0] / lengths[1] < 1.25


@pytest.mark.parametrize("kind", GRADIENT)
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_scale_of_the_outputs_does_not_matter(kind, factor: float) -> None:
    def scaled(params: Tensor, x: Tensor) -> Tensor:
        return factor * NETWORK(params, x)

    call = {"experiences": INPUTS, "generator": 1}
    expected = kind(NETWORK, divergence=0.01, exponent=0.5)(PARENT, **call)
    found = kind(scaled, divergence=0.01 * factor**2, exponent=0.5)(PARENT, **call)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [SMGSum, SMGAbs, SMGRms])
def test_a_kept_sensitivity_is_the_one_before_the_exponent(kind) -> None:
    op = kind(NETWORK, divergence=0.01, exponent=0.5)
    call = {"experiences": INPUTS, "generator": 3}
    kept = op.sensitivity(PARENT, **call)
    torch.testing.assert_close(kept, kind(NETWORK, divergence=0.01).sensitivity(PARENT, **call))
    assert torch.equal(op(PARENT, sensitivity=kept, **call), op(PARENT, **call))


@pytest.mark.parametrize("bad", [0, -1, float("nan"), "half"])
def test_a_bad_exponent(bad) -> None:
    with pytest.raises(ValueError, match="expected exponent to be a positive number, got"):
        SMGSum(NETWORK, divergence=0.01, exponent=bad)


def test_it_goes_with_a_divergence() -> None:
    with pytest.raises(ValueError, match=r"expected exponent with divergence only, got 0\.5 with sigma"):
        SMGSum(NETWORK, sigma=0.01, exponent=0.5)
    op = SMGSum(NETWORK, divergence=0.01, exponent=0.5)
    with pytest.raises(ValueError, match=r"expected SMGSum with an exponent of 1, .* got 0\.5"):
        op.calibrate(PARENT, experiences=INPUTS, divergence=0.01)  # there is no such sigma
    assert (
        dataclasses.replace(op, exponent=1.0).calibrate(PARENT, experiences=INPUTS, divergence=0.01).sigma > 0
    )


def test_it_is_in_the_record() -> None:
    assert describe(SMGSum(NETWORK, divergence=0.01, exponent=0.5))["exponent"] == 0.5
