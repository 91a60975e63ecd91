"""Batched evaluation against one environment and one module at a time."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import gymnasium as gym
import numpy as np
import pytest
import torch

from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.large_scale import LargeScale101
from evolution.domains.recurrent_parity import RecurrentParity

ROBOTS = BreadcrumbHardMaze(), LargeScale101(depth=9, width=50)


def drive_one(network, genome):
    """One robot, one frame at a time, asking the network at every third frame."""
    env = gym.make("safemaze/BreadcrumbHardMaze-v0").unwrapped
    observation, _ = env.reset()
    experiences, over, frame = [], False, 0
    while not over:
        if frame % 3 == 0:
            action = network.policy(genome[None])(observation[None])[0]
        experiences.append(observation)
        observation, _, over, _, info = env.step(action)
        frame += 1
    return info, np.stack(experiences)


@pytest.mark.parametrize("domain", ROBOTS)
def test_a_batch_of_robots_does_what_each_does_alone(domain):
    genomes = domain.network.initial_genomes(6, np.random.default_rng(3)) * np.float32(1.5)
    batch = domain.evaluate(genomes)
    assert batch.experiences.shape == (6, 400, 11)
    assert batch.behavior.shape == (6, 135, 2)
    for lane, genome in enumerate(genomes):
        info, experiences = drive_one(domain.network, genome)
        assert batch.fitness[lane] == info["fitness"]
        assert batch.solved[lane] == info["solved"]
        np.testing.assert_array_equal(batch.experiences[lane], experiences)
        np.testing.assert_array_equal(batch.behavior[lane, -1], info["behavior"])
    assert len(set(batch.fitness)) > 1


def test_evaluating_again_gives_the_same_and_leaves_the_first_result_alone():
    domain = BreadcrumbHardMaze()
    genomes = domain.network.initial_genomes(4, np.random.default_rng(4))
    first = domain.evaluate(genomes)
    copy = first.experiences.copy()
    second = domain.evaluate(genomes[::-1].copy())
    np.testing.assert_array_equal(first.experiences, copy)
    np.testing.assert_array_equal(first.fitness, second.fitness[::-1])


@pytest.mark.parametrize("outputs", [1, 2])
def test_parity_fitness_is_the_mean_log_likelihood_of_all_sixteen_strings(outputs):
    domain = RecurrentParity(outputs=outputs)
    genomes = domain.network.initial_genomes(5, np.random.default_rng(5)) * 2
    found = domain.evaluate(genomes)
    for lane, genome in enumerate(genomes):
        likelihoods, correct = [], 0
        for bits in itertools.product([0, 1], repeat=4):
            inputs = torch.tensor(bits, dtype=torch.float32)[None, :, None]
            found_outputs = domain.network(torch.from_numpy(genome), inputs)[0].double()
            odd = found_outputs[-1].item()
            probability = odd if sum(bits) % 2 else 1 - odd
            likelihoods.append(np.log(probability))
            correct += probability > 0.5
        np.testing.assert_allclose(found.fitness[lane], np.mean(likelihoods), rtol=1e-5)
        assert found.solved[lane] == (correct == 16)


@pytest.mark.parametrize(("domain", "factor"), [(ROBOTS[0], 1e30), (ROBOTS[1], np.nan)])
def test_a_broken_network_gets_the_worst_fitness_and_harms_no_other(domain, factor):
    genomes = domain.network.initial_genomes(3, np.random.default_rng(6))
    alone = domain.evaluate(genomes)
    broken = genomes[:1] * np.float32(factor)  # the first overflows; a tanh cannot
    together = domain.evaluate(np.concatenate([genomes[:1], broken, genomes[1:]]))
    assert together.fitness[1] == -1e8
    np.testing.assert_array_equal(np.delete(together.fitness, 1), alone.fitness)


def test_a_shorter_episode_is_another_outcome_and_threads_share_no_environment():
    short, long = BreadcrumbHardMaze(frames=90), BreadcrumbHardMaze()
    genomes = long.network.initial_genomes(8, np.random.default_rng(8))
    assert short.evaluate(genomes).experiences.shape == (8, 90, 11)
    alone = [long.evaluate(genomes * np.float32(scale)).fitness for scale in (1, 2, 3, 4)]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda scale: long.evaluate(genomes * np.float32(scale)).fitness, (1, 2, 3, 4))
        for expected, fitness in zip(alone, together, strict=True):
            np.testing.assert_array_equal(fitness, expected)
