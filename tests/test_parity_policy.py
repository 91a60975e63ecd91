"""Compiled parity networks against torch in float64."""

import numpy as np
import pytest
import torch

from evolution.domains.recurrent_parity import LABELS, STRINGS
from evolution.networks.parity_policy import classify
from evolution.networks.parity_rnn import ParityNetwork

GENERATOR = np.random.default_rng(0)


def judged(genomes, outputs):
    return classify(genomes, STRINGS[:, :, 0], LABELS, outputs)


def exact(genomes, outputs):
    """Log-likelihoods in float64, from the sums before softmax or sigmoid so that nothing underflows."""
    module = ParityNetwork(outputs).module().double()
    found = []
    for genome in torch.from_numpy(genomes).double():
        torch.nn.utils.vector_to_parameters(genome, module.parameters())
        h1 = h2 = torch.zeros(len(STRINGS), ParityNetwork.HIDDEN, dtype=torch.float64)
        for bit in torch.from_numpy(STRINGS).double().unbind(1):
            h1, h2 = module.step(bit, h1, h2)
        totals = module.output(h2)
        totals = totals if outputs == 2 else torch.cat([torch.zeros_like(totals), totals], dim=1)
        found.append(torch.log_softmax(totals, dim=1)[np.arange(len(LABELS)), LABELS].detach().numpy())
    return np.stack(found)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("scale", [0, 1, 3])
def test_likelihoods_are_those_of_the_network(outputs, scale):
    genomes = ParityNetwork(outputs).initial_genomes(5, GENERATOR) * np.float32(scale)
    probabilities, likelihoods = judged(genomes, outputs)
    expected = exact(genomes, outputs)
    np.testing.assert_allclose(likelihoods, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities, np.exp(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_likelihood_that_vanishes_still_has_its_logarithm(outputs):
    [genome] = ParityNetwork(outputs).initial_genomes(1, GENERATOR)
    genome[-21 * outputs :] = 0
    genome[-1] = 2000  # the bias that speaks for odd
    probabilities, likelihoods = judged(genome[None], outputs)
    np.testing.assert_array_equal(probabilities[0], LABELS)
    np.testing.assert_array_equal(likelihoods[0], np.where(LABELS, 0, -2000))


def test_a_broken_network_does_not_disturb_the_others():
    genomes = ParityNetwork().initial_genomes(3, GENERATOR)
    _, sound = judged(genomes, 2)
    genomes[1, 100] = np.nan
    _, likelihoods = judged(genomes, 2)
    assert np.isnan(likelihoods[1]).any()
    np.testing.assert_array_equal(likelihoods[[0, 2]], sound[[0, 2]])
