"""Our children against the formulas of published implementations, written down again in plain float64.

What each implementation computes is a fact of its source; see safe_mutation/docs/which_implementation.md. The
oracle takes one gradient for each experience and output, and H from second derivatives.
"""

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SMGAbs, SMGSum

SIGMA, SEED = 0.05, 3
N_EXPERIENCES, K = 17, 3


def make_module() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, K))
        module = module.double()
        with torch.no_grad():
            module[2].weight[0] = 1e-4  # the unit's weights matter little: below the floor
            module[4].weight[:, 1] = 0.0  # and nothing that goes into unit 1 matters at all
    return module


MODULE = make_module()
NETWORK = FlatNetwork(MODULE)
PARENT = NETWORK.flatten().numpy()
X = np.random.default_rng(1).normal(size=(N_EXPERIENCES, 4))
NAMES = {"experiences": X, "generator": SEED}


def outputs(genome: torch.Tensor) -> torch.Tensor:
    """(I, K), layer by layer."""
    values, place = torch.from_numpy(X), 0
    for inputs, units in ((4, 6), (6, 5), (5, K)):
        weight = genome[place : place + units * inputs].view(units, inputs)
        bias = genome[place + units * inputs : place + units * (inputs + 1)]
        place += units * (inputs + 1)
        values = values @ weight.T + bias
        values = torch.tanh(values) if units != K else values
    return values


def jacobian() -> np.ndarray:
    """(I, K, P), one backward pass for each number."""
    genome = torch.from_numpy(PARENT.copy()).requires_grad_()
    rows = [
        [torch.autograd.grad(outputs(genome)[i, k], genome)[0].numpy() for k in range(K)]
        for i in range(N_EXPERIENCES)
    ]
    return np.array(rows)


def divergence(child: np.ndarray) -> float:
    """Equation 1."""
    with torch.no_grad():
        changes = (outputs(torch.from_numpy(child)) - outputs(torch.from_numpy(PARENT))).numpy()
    return float(np.square(changes).sum(axis=1).mean())


def hessian() -> np.ndarray:
    """(P, P), of equation 1 at the parent."""
    old = outputs(torch.from_numpy(PARENT)).detach()

    def loss(genome: torch.Tensor) -> torch.Tensor:
        return ((outputs(genome) - old) ** 2).sum(1).mean()

    return torch.autograd.functional.hessian(loss, torch.from_numpy(PARENT.copy())).numpy()


J = jacobian()
SUM = np.sqrt(np.square(J.sum(axis=0)).sum(axis=0))
ABS = np.sqrt(np.square(np.abs(J).mean(axis=0)).sum(axis=0))
MATRICES = np.concatenate([np.full(p.numel(), p.ndim == 2) for p in MODULE.parameters()])


def noise(sigma: float = SIGMA) -> np.ndarray:
    """The perturbation that every operator draws with this seed."""
    return GaussianMutation(NETWORK, sigma=sigma)(PARENT, generator=SEED) - PARENT


def floored(sensitivity: np.ndarray) -> np.ndarray:
    """The rule of the published code and of its ports: 0 becomes 1, then what is below 0.01 becomes 0.01."""
    return np.maximum(np.where(sensitivity == 0, 1.0, sensitivity), 0.01)


def assert_same(child: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(child - PARENT, expected - PARENT, rtol=1e-9, atol=1e-12)


def test_the_case_has_zeros_small_and_large_sensitivities():
    assert (SUM == 0).any()
    assert ((SUM > 0) & (SUM < 0.01)).any()
    assert (np.abs(noise() / floored(SUM)) > 0.2).any()
    assert not np.allclose(SUM / N_EXPERIENCES, ABS, rtol=0.05)  # gradients cancel in the sum


@pytest.mark.parametrize("clip", [0.2, None])
def test_safemutations_sum(clip):
    """uber-research/safemutations, SM-G-SUM: clipped at 0.2 in the maze, not in parity."""
    steps = noise() / floored(SUM)
    steps = steps if clip is None else np.clip(steps, -clip, clip)
    assert_same(SMGSum(NETWORK, sigma=SIGMA, weight_clip=clip)(PARENT, **NAMES), PARENT + steps)


def test_safemutations_abs():
    """SM-G-ABS of the maze and of parity: the mean over experiences of absolute gradients."""
    expected = PARENT + np.clip(noise() / floored(ABS), -0.2, 0.2)
    assert_same(SMGAbs(NETWORK, sigma=SIGMA, weight_clip=0.2)(PARENT, **NAMES), expected)


def test_safemutations_abs_of_the_toy_is_smaller_by_the_number_of_experiences():
    expected = PARENT + np.clip(noise() / floored(ABS / N_EXPERIENCES), -10, 10)
    op = SMGAbs(
        NETWORK, sigma=SIGMA * N_EXPERIENCES, floor=0.01 * N_EXPERIENCES, zero=N_EXPERIENCES, weight_clip=10.0
    )
    assert_same(op(PARENT, **NAMES), expected)


@pytest.mark.parametrize("direction", ["unit", "raw"])
def test_safemutations_second_order(direction):
    """SM-G-SO: the code takes H along the perturbation's direction, the paper along the perturbation."""
    delta = noise()
    along = delta / np.linalg.norm(delta) if direction == "unit" else delta
    expected = PARENT + np.clip(delta / floored(np.sqrt(np.abs(hessian() @ along))), -0.2, 0.2)
    op = SMGSO(NETWORK, sigma=SIGMA, direction=direction, weight_clip=0.2)
    child = op(PARENT, **NAMES)
    insensitive = np.sqrt(np.abs(hessian() @ along)) < 1e-7  # zero but for rounding: ours is exactly zero
    assert insensitive.any()
    expected[insensitive] = PARENT[insensitive] + np.clip(delta, -0.2, 0.2)[insensitive]
    np.testing.assert_allclose(child, expected, rtol=1e-7, atol=1e-9)


def test_safemutations_rescaling():
    """SM-R: the maze's code aims at a mean over outputs, too; equation 1 sums over them."""
    target, direction = 0.01, noise() / np.linalg.norm(noise())
    child = SMR(NETWORK, divergence=target * K, tolerance=1e-6)(PARENT, **NAMES)
    step = child - PARENT
    length = np.linalg.norm(step)
    np.testing.assert_allclose(step / length, direction, atol=1e-9)
    assert divergence(child) / K == pytest.approx(target, rel=1e-5)


def test_pderl():
    """crisbodnar/pderl, proximal mutation: SM-G-SUM on matrices alone, not clipped, deviation ``mag``."""
    expected = PARENT + np.where(MATRICES, noise() / floored(SUM), 0)
    op = SMGSum(NETWORK, sigma=SIGMA, mask=NETWORK.mask("*.weight"), max_experiences=256)
    assert_same(op(PARENT, **NAMES), expected)


def test_ma_qdax():
    """MA-QDax, proximal mutation: a mean for the sum, so that our sigma, floor and zero are I times its."""
    mean = np.sqrt(np.square(J.mean(axis=0)).sum(axis=0))
    expected = PARENT + noise() / floored(mean)
    op = SMGSum(NETWORK, sigma=SIGMA * N_EXPERIENCES, floor=0.01 * N_EXPERIENCES, zero=N_EXPERIENCES)
    assert_same(op(PARENT, **NAMES), expected)
    # All parents at once there, with one set of experiences: as here.
    batch = op(np.stack([PARENT, PARENT]), experiences=X, generator=[SEED, SEED])
    for child in batch:
        np.testing.assert_allclose(child, expected, rtol=1e-9)


SLIPS = {
    "es-rl, absolute after the sum": (
        ABS,
        np.sqrt(np.square(np.abs(J.sum(axis=0))).sum(axis=0)) / N_EXPERIENCES,
    ),
    "evostrats, rows pile up": (SUM, np.sqrt(np.square(np.cumsum(J.sum(axis=0), axis=0)).sum(axis=0))),
    "an open_spiel fork, weights for gradients": (SUM, np.abs(PARENT)),
    "TILDA, one number for all weights": (SUM, np.full_like(PARENT, np.linalg.norm(J.sum(axis=(0, 2))))),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_of_ports_are_no_matter_of_scale(slip):
    """A common factor would be made up for by sigma."""
    meant, computed = SLIPS[slip]
    used = (meant > 0.01) & (computed > 0)
    factors = computed[used] / meant[used]
    assert factors.max() / factors.min() > 1.5
