"""Root mean square sensitivity: exact in linear layers, estimated from random signs elsewhere."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, Kind, naive_jacobian
from safe_mutation import FlatNetwork, SMGRms, SMGSum
from safe_mutation.noise import RandomSigns, read_generator

LINEAR, GRU = KINDS[0], KINDS[11]


def root_mean_square(kind: Kind, parents: Tensor, experiences: Tensor) -> Tensor:
    """From the gradient of every experience and output, in float64."""
    exact = torch.stack([naive_jacobian(kind.network(), w, experiences) for w in parents])
    return exact.square().sum(2).mean(1).sqrt()


@pytest.mark.parametrize("kind", [LINEAR, GRU], ids=lambda kind: kind.name)
def test_exact_sensitivities(kind: Kind) -> None:
    parents = kind.genomes(3)
    experiences = kind.experiences(7, torch.Generator().manual_seed(0))
    found = SMGRms(kind.network(), sigma=0.1, probes=None).sensitivity(parents, experiences=experiences)
    torch.testing.assert_close(found, root_mean_square(kind, parents, experiences), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("number", [1, 7])
def test_linear_layers_need_no_probes(number: int) -> None:
    parents, experiences = LINEAR.genomes(3), LINEAR.experiences(number, torch.Generator().manual_seed(0))
    op = SMGRms(LINEAR.network(), sigma=0.1, probes=1)
    first, second = (op.sensitivity(parents, experiences=experiences, generator=seed) for seed in (1, 2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, root_mean_square(LINEAR, parents, experiences), rtol=1e-9, atol=1e-12)


def test_estimates_are_unbiased_and_better_with_more_probes() -> None:
    parent, experiences = GRU.genomes(1), GRU.experiences(7, torch.Generator().manual_seed(0))
    exact = root_mean_square(GRU, parent, experiences).square()
    estimates = {}
    for probes in (1, 16):
        op = SMGRms(GRU.network(), sigma=0.1, probes=probes)
        drawn = op.sensitivity(parent.repeat(400, 1), experiences=experiences, generator=1).square()
        error = drawn.std(0) / 20  # of the mean over 400 draws
        assert ((drawn.mean(0) - exact[0]).abs() < 5 * error + 1e-15).all()
        estimates[probes] = drawn.std(0)
    ratio = (estimates[1] / estimates[16]).nanmedian()
    assert 3 < ratio < 5  # the root of 16


def test_a_batch_with_a_generator_each_equals_single_calls() -> None:
    op = SMGRms(GRU.network(), divergence=1e-3)
    parents, experiences = GRU.genomes(3), GRU.experiences(7, torch.Generator().manual_seed(0))
    children = op(parents, experiences=experiences, generator=[5, 6, 7])
    for n in range(3):
        alone = op(parents[n], experiences=experiences, generator=5 + n)
        torch.testing.assert_close(children[n], alone, rtol=1e-9, atol=1e-12)


def test_a_parents_signs_do_not_depend_on_how_many_rows_others_have() -> None:
    streams = read_generator([1, 2, 3], 3)
    signs = RandomSigns(streams.probes, 4)(range(3), 7, 2)
    assert signs.shape == (4, 3, 7, 2)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    fewer = RandomSigns(streams.probes, 4)(range(1, 3), 5, 2)
    assert torch.equal(fewer, signs[:, 1:, :5])


def test_opposite_signs_do_not_wash_out() -> None:
    def network(params: Tensor, x: Tensor) -> Tensor:
        return torch.tensor([100.0, 0.1]) * params[:, None, :] * x

    parent, inputs = np.array([0.3, -0.4], np.float32), np.array([[1, 1], [-1, -1]], np.float32)
    assert SMGSum(network, sigma=1).sensitivity(parent, experiences=inputs).tolist() == [0, 0]
    found = SMGRms(network, sigma=1, probes=None).sensitivity(parent, experiences=inputs)
    np.testing.assert_allclose(found, [100, 0.1], rtol=1e-6)


def test_sigma_is_the_root_of_the_divergence_over_the_number_of_weights() -> None:
    network = LINEAR.network()
    assert isinstance(network, FlatNetwork)
    parents, experiences = LINEAR.genomes(1), LINEAR.experiences(30, torch.Generator().manual_seed(0))
    sigma = (1e-6 / network.num_params) ** 0.5
    op = SMGRms(network, sigma=sigma, floor=1e-9)
    _, info = op(parents.repeat(500, 1), experiences=experiences, generator=1, return_info=True)
    assert float(info.divergence.mean()) == pytest.approx(1e-6, rel=0.1)


@pytest.mark.parametrize("probes", [None, 4])
@pytest.mark.parametrize("sets", [False, True])
def test_squares_of_large_gradients_do_not_overflow(probes, sets):
    class Steep(nn.Linear):  # no network of linear layers alone where there are probes
        def forward(self, x):
            return nn.functional.linear(x, self.weight if probes is None else 1 * self.weight) * 1e20

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), Steep(4, 2, bias=False))
    network, experiences = FlatNetwork(module), torch.randn(6, 3)
    genome = network.flatten()
    parents = torch.stack([genome, 0.5 * genome])
    given = [experiences, experiences[:4]] if sets else experiences
    arguments = {"experiences": given, "per_parent": sets, "generator": 1}
    op = SMGRms(network, divergence=0.03, probes=probes)
    found = op.sensitivity(parents, **arguments)
    wide = FlatNetwork(module.double())
    true = SMGRms(wide, divergence=0.03).sensitivity(parents[:1].double(), experiences=experiences.double())
    assert torch.isfinite(found).all() and float(found.amax()) > 1e19
    if probes is None:
        assert torch.allclose(found[:1].double(), true, rtol=1e-4)
