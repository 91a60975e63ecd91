"""The batched networks against ordinary PyTorch modules with the same weights."""

import numpy as np
import pytest
import torch
from torch import nn

from evolution.networks.feed_forward import FeedForward, hard_maze_network, large_scale_network
from evolution.networks.parity_rnn import ParityNetwork

GENERATOR = np.random.default_rng(0)


class Residual(nn.Module):
    """The large-scale network spelled out layer by layer."""

    def __init__(self, depth, width):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(11, width), *(nn.Linear(width, width) for _ in range(depth))])
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        saved = None
        for depth, layer in enumerate(self.layers):
            x = torch.tanh(layer(x))
            if depth % 4 == 0:
                x = x if saved is None else x + saved
                saved = x
        return torch.sigmoid(self.out(x))


class Recurrent(nn.Module):
    """The parity network with torch's own cells."""

    def __init__(self, outputs=2):
        super().__init__()
        self.cell1, self.cell2 = nn.RNNCell(1, 20), nn.RNNCell(20, 20)
        self.out = nn.Linear(20, outputs)

    def forward(self, bits):
        h1 = h2 = torch.zeros(len(bits), 20)
        for bit in bits.unbind(1):
            h1 = self.cell1(bit, h1)
            h2 = self.cell2(h1, h2)
        totals = self.out(h2)
        return torch.softmax(totals, dim=1) if totals.shape[1] == 2 else torch.sigmoid(totals)


def selu_module():
    layers = [nn.Linear(11, 8), nn.SELU()]
    for _ in range(16):
        layers += [nn.Linear(8, 8), nn.SELU()]
    return nn.Sequential(*layers, nn.Linear(8, 2), nn.Sigmoid())


def with_weights(module, genome):
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())
    return module


CASES = {
    "hard maze": (hard_maze_network, selu_module, (7, 11)),
    "residual": (lambda: large_scale_network(9, 6), lambda: Residual(9, 6), (7, 11)),
    "parity": (ParityNetwork, Recurrent, (16, 4, 1)),
    "parity, one output": (lambda: ParityNetwork(1), lambda: Recurrent(1), (16, 4, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_module_of_the_same_weights(case):
    make_network, make_module, shape = CASES[case]
    network = make_network()
    genomes = network.initial_genomes(3, GENERATOR)
    inputs = torch.rand(shape)
    outputs = network(torch.from_numpy(genomes), inputs)
    for genome, rows in zip(genomes, outputs, strict=True):
        torch.testing.assert_close(rows, with_weights(make_module(), genome)(inputs))
        torch.testing.assert_close(rows, network(torch.from_numpy(genome), inputs))


@pytest.mark.parametrize("case", CASES)
def test_its_own_plain_module_has_its_genome_and_its_outputs(case):
    make_network, _, shape = CASES[case]
    network = make_network()
    [genome] = network.initial_genomes(1, GENERATOR)
    module = with_weights(network.module(), genome)
    assert sum(p.numel() for p in module.parameters()) == network.num_params
    inputs = torch.rand(shape)
    torch.testing.assert_close(network(torch.from_numpy(genome), inputs), module(inputs))


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        (hard_maze_network(), 1_266),
        (ParityNetwork(), 1_342),
        (ParityNetwork(1), 1_321),
        (large_scale_network(32, 125), 505_752),
        (large_scale_network(64, 125), 1_009_752),
        (large_scale_network(101, 48), 238_226),
    ],
)
def test_has_the_papers_number_of_weights(network, weights):
    assert network.num_params == weights


def test_every_lane_may_have_its_own_inputs():
    network = hard_maze_network()
    genomes = torch.from_numpy(network.initial_genomes(4, GENERATOR))
    inputs = torch.rand(4, 5, 11)
    outputs = network(genomes, inputs)
    for n in range(4):
        torch.testing.assert_close(outputs[n], network(genomes[n], inputs[n]))


@pytest.mark.parametrize("network", [hard_maze_network(), large_scale_network(9, 6), FeedForward([11, 3])])
def test_a_decision_is_the_networks_output(network):
    genomes = network.initial_genomes(5, GENERATOR) * 2
    observations = GENERATOR.random((5, 11), dtype=np.float32)
    expected = network(torch.from_numpy(genomes), torch.from_numpy(observations)[:, None])[:, 0]
    np.testing.assert_allclose(network.policy(genomes)(observations), expected, atol=2e-6)


@pytest.mark.parametrize("widths", [[3, 5, 8, 20, 7, 1], [9, 2], [16, 16, 3]])
@pytest.mark.parametrize("number", [1, 16, 37])
def test_decisions_hold_for_any_widths_and_number(widths, number):
    network = FeedForward(widths)
    genomes = network.initial_genomes(number, GENERATOR)
    observations = GENERATOR.standard_normal((number, widths[0])).astype(np.float32)
    expected = network(torch.from_numpy(genomes), torch.from_numpy(observations)[:, None])[:, 0]
    np.testing.assert_allclose(network.policy(genomes)(observations), expected, atol=2e-6)


def test_a_broken_network_does_not_disturb_the_others():
    network = hard_maze_network()
    genomes = network.initial_genomes(3, GENERATOR)
    observations = GENERATOR.random((3, 11), dtype=np.float32)
    sound = network.policy(genomes)(observations)
    genomes[1, 100] = np.nan
    decisions = network.policy(genomes)(observations)
    assert np.isnan(decisions[1]).all()
    np.testing.assert_array_equal(decisions[[0, 2]], sound[[0, 2]])


def test_initial_weights_have_the_papers_spread():
    network = FeedForward([40, 60])
    weights = network.initial_genomes(50, GENERATOR)[:, :2400]
    assert weights.dtype == np.float32
    assert weights.std() == pytest.approx(np.sqrt(2 / 100), rel=0.02)
    assert abs(network.initial_genomes(50, GENERATOR)[:, 2400:]).max() <= 1 / np.sqrt(40)


def test_refuses_a_genome_of_another_length():
    with pytest.raises(ValueError, match=r"expected genomes of shape \(1266,\).*got \(2, 1200\)"):
        hard_maze_network()(torch.zeros(2, 1200), torch.zeros(3, 11))


def test_a_compiled_decision_holds_for_extreme_weights():
    network = hard_maze_network()
    genomes = network.initial_genomes(4, GENERATOR) * np.float32([[1], [10], [100], [1e4]])
    observations = GENERATOR.random((4, 11), dtype=np.float32)
    expected = network(torch.from_numpy(genomes), torch.from_numpy(observations)[:, None])[:, 0]
    np.testing.assert_allclose(network.policy(genomes)(observations), expected, atol=1e-4)
