"""Pixel networks whose convolutions torch computes on a device: the processor, or a GPU if there is one."""

from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.breed import travelling
from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.domains.topdown_maze import TopdownMaze
from evolution.experiment import Experiment
from evolution.individual import Individual
from evolution.local_pool import LocalPool, ignore_signals
from evolution.networks.conv_lstm import CompiledConvLSTM, ConvLSTM, topdown_network
from evolution.networks.conv_lstm_gradients import DevicePasses
from evolution.networks.film import together
from evolution.workers import Workers
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation, SMGSum

CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
SHORT = TopdownMaze(steps=12)


def films(networks, sequences, distinct, steps):
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (networks, sequences, distinct, 64, 64)).astype(np.uint8)
    order = generator.integers(0, distinct - 1, (networks, sequences, steps))  # the last is never seen
    return torch.from_numpy(pictures), torch.from_numpy(order)


def search(operator, device=CPU, **settings):
    algorithm = SteadyStateGA(population_size=6, tournament_size=2)
    settings = {"seed": 1, "runs": 2, "max_evaluations": 14} | settings
    return Experiment(SHORT, operator, algorithm, device=device, **settings)


def genomes_of(experiment, breeder=None):
    lockstep = experiment.lockstep()
    for _ in lockstep.run(breeder):
        pass
    return [[one.on_host().genome for one in r.algorithm.population] for r in lockstep.replicates]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("depth", [0, 3])
def test_outputs_and_both_derivatives_are_those_of_the_module(depth, device):
    network, exact = CompiledConvLSTM(depth), FlatNetwork(ConvLSTM(depth).double())
    generator = np.random.default_rng(1)
    genomes, direction = (torch.from_numpy(network.initial_genomes(3, generator)) for _ in range(2))
    cotangents = torch.from_numpy(generator.standard_normal((3, 2, 7, 5), dtype=np.float32))
    pictures, order = films(3, 2, distinct=5, steps=7)
    shown = torch.stack(
        [
            torch.stack([p[o] for p, o in zip(*film, strict=True)])
            for film in zip(pictures, order, strict=True)
        ]
    )

    passes = DevicePasses(genomes.to(device), depth, pictures.to(device), order.to(device))
    leaf = genomes.double().requires_grad_()
    outputs = exact(leaf, shown)
    weights = cotangents.double().requires_grad_()
    (gradients,) = torch.autograd.grad(outputs, leaf, weights, create_graph=True)
    (tangents,) = torch.autograd.grad(gradients, weights, direction.double())  # J v, as J'u is linear in u
    for ours, expected in (
        (passes.outputs, outputs),
        (passes.gradients(cotangents.numpy()), gradients),
        (passes.tangents(direction.to(device)), tangents),
    ):
        ours = torch.as_tensor(ours).cpu()
        assert ours.dtype == torch.float32 and ours.shape == expected.shape
        expected = expected.detach()
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("device", DEVICES)
def test_decisions_on_a_device_are_the_outputs_of_the_sequence_seen(device):
    network = CompiledConvLSTM(2)
    genomes = torch.from_numpy(network.initial_genomes(4, np.random.default_rng(2)))
    pictures, order = films(4, 1, distinct=5, steps=12)
    decide = network.policy(genomes.to(device))
    seen = [pictures[torch.arange(4), 0, order[:, 0, t]].numpy() for t in range(12)]
    decisions = np.stack([decide(picture) for picture in seen], axis=1)
    exact = network(genomes, {"pictures": pictures, "order": order})[:, 0]
    np.testing.assert_allclose(decisions, exact, atol=2e-6)
    for n in range(4):  # and it keeps what was seen
        film = decide.film(n, 9)
        np.testing.assert_array_equal(film["pictures"][film["order"]], [picture[n] for picture in seen[:9]])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("domain", [SHORT, FirstPersonMaze(frames=48)])
def test_walking_on_a_device_is_walking_with_compiled_networks(domain, device):
    genomes = domain.network.initial_genomes(4, np.random.default_rng(0))
    compiled, there = domain.evaluate(genomes), domain.evaluate(torch.from_numpy(genomes).to(device))
    np.testing.assert_array_equal(there.fitness, compiled.fitness)
    np.testing.assert_array_equal(there.behavior, compiled.behavior)
    for ours, theirs in zip(there.experiences, compiled.experiences, strict=True):
        np.testing.assert_array_equal(ours["order"], theirs["order"])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [SMGSum, SMGSO, partial(SMGSum, divergence=0.01)])
def test_films_of_different_lengths_are_computed_together_and_mean_the_same(make, device):
    network = CompiledConvLSTM(1)
    genomes = network.initial_genomes(2, np.random.default_rng(0))
    both = [films(1, 1, distinct, 8) for distinct in (3, 6)]
    apart = [{"pictures": p[0].numpy(), "order": o[0].numpy()} for p, o in both]
    operator = make(network) if isinstance(make, partial) else make(network, sigma=0.05)
    one_by_one = [
        operator(genome, experiences=film, generator=n)
        for n, (genome, film) in enumerate(zip(genomes, apart, strict=True))
    ]
    parents = torch.from_numpy(genomes).to(device)
    noise = [0, 1] if device == "cpu" else None
    children = operator(parents, experiences=together(apart), per_parent=True, generator=noise)
    if device == "cpu":  # the same random numbers
        np.testing.assert_allclose(children.numpy(), one_by_one, atol=1e-5)
    assert children.device.type == device and torch.isfinite(children).all()


def test_what_is_not_films_of_equal_length_is_not_put_together():
    one, other = (
        dict(zip(("pictures", "order"), map(np.asarray, films(1, 1, 3, n)), strict=True)) for n in (4, 5)
    )
    assert together([one, other]) is None
    assert together([np.zeros(3)] * 2) is None
    assert together([{"position": np.zeros(3)}] * 2) is None
    assert together([one, one])["order"].shape == (2, 1, 1, 4)


@pytest.mark.parametrize("device", DEVICES)
def test_workers_with_a_device_breed_what_the_device_breeds_here(device):
    operator = SMGSum(topdown_network(), sigma=0.05)
    experiment = search(operator, torch.device(device), group=1, guess=2)
    workers = Workers(SHORT, operator, partial(LocalPool, 2, ignore_signals), device=experiment.device)
    with closing(workers):
        spread = genomes_of(experiment, workers)
    np.testing.assert_array_equal(spread, genomes_of(experiment))


def test_a_parent_travels_with_what_its_children_need():
    network = topdown_network()
    parent = Individual(torch.zeros(3), 1.0, False, np.zeros(2), np.zeros(4))
    known = replace(parent, sensitivity=torch.ones(3))
    for operator, one, needed in [
        (SMGSum(network, sigma=0.1), parent, True),
        (SMGSum(network, sigma=0.1), known, False),
        (SMGSum(network, divergence=0.1), known, True),
        (SMGSO(network, sigma=0.1), known, True),
        (GaussianMutation(sigma=0.1), parent, False),
        (GaussianMutation(network, divergence=0.1), parent, True),
        (lambda parents, **more: parents, parent, True),
    ]:
        sent = travelling(operator, one)
        assert (sent.experiences is one.experiences) == needed
        assert isinstance(sent.genome, np.ndarray) and sent.behavior is None
    assert isinstance(known.sensitivity, torch.Tensor)
