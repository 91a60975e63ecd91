"""Compiled decisions of the large residual networks against torch in float64."""

import numpy as np
import pytest
import torch

from evolution.networks.feed_forward import FeedForward, large_scale_network
from evolution.networks.residual_policy import ResidualPolicy

GENERATOR = np.random.default_rng(0)


def decisions(network, genomes, observations):
    return ResidualPolicy(genomes, network.widths, network.skip_every)(observations)


def exact(network, genomes, observations):
    params, inputs = torch.from_numpy(genomes).double(), torch.from_numpy(observations).double()
    return network(params, inputs[:, None])[:, 0].numpy()


@pytest.mark.parametrize(
    ("network", "scale"),
    [(large_scale_network(9, 6), 1), (large_scale_network(9, 6), 3), (large_scale_network(101, 48), 1)],
)
def test_a_decision_is_the_networks_output(network, scale):
    genomes = network.initial_genomes(3, GENERATOR) * np.float32(scale)
    observations = GENERATOR.random((3, 11), dtype=np.float32)
    expected = exact(network, genomes, observations)
    assert expected.std() > 0.01
    np.testing.assert_allclose(decisions(network, genomes, observations), expected, atol=2e-5)


@pytest.mark.parametrize(
    "widths", [[3, 5, 1], [9, 2], [16, 16, 16, 3], [33, 40, 40, 40, 40, 40, 40], [1, 129, 129, 17]]
)
@pytest.mark.parametrize("skip_every", [1, 2, 4])
def test_decisions_hold_for_any_widths_and_skips(widths, skip_every):
    network = FeedForward(widths, activation=torch.tanh, skip_every=skip_every)
    genomes = network.initial_genomes(2, GENERATOR)
    observations = GENERATOR.standard_normal((2, widths[0])).astype(np.float32)
    np.testing.assert_allclose(
        decisions(network, genomes, observations), exact(network, genomes, observations), atol=2e-6
    )


def test_a_decision_leaves_no_trace_in_the_next():
    network = large_scale_network(9, 6)
    genomes = network.initial_genomes(1, GENERATOR)
    decide = ResidualPolicy(genomes, network.widths, network.skip_every)
    first, second = GENERATOR.random((2, 1, 11), dtype=np.float32)
    before = decide(first)
    decide(second)
    np.testing.assert_array_equal(decide(first), before)


def test_a_broken_network_does_not_disturb_the_others():
    network = large_scale_network(9, 6)
    genomes = network.initial_genomes(3, GENERATOR)
    observations = GENERATOR.random((3, 11), dtype=np.float32)
    sound = decisions(network, genomes, observations)
    genomes[1, 30] = np.nan
    broken = decisions(network, genomes, observations)
    assert np.isnan(broken[1]).all()
    np.testing.assert_array_equal(broken[[0, 2]], sound[[0, 2]])
