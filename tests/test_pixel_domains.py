"""The domains of pictures and of large networks, against one environment and one module at a time."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from evolution.breed import Birth, breed
from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.domains.large_scale import LargeScale32, LargeScale64, LargeScale101
from evolution.domains.maze_walk import walk
from evolution.domains.topdown_maze import TopdownMaze
from evolution.individual import pack, unpack
from evolution.networks.conv_lstm import CompiledConvLSTM
from paper.table_s2 import experiment
from safe_mutation import GaussianMutation, SMGSum

EASY = FirstPersonMaze().variant("easy")
MAZES = [(TopdownMaze(), 40), (FirstPersonMaze(), 100), (EASY, 100)]


def with_weights(module, genome):
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())
    return module


def walk_alone(domain, genome):
    """One walker, picture by picture, with torch's layers in float64."""
    name, settings = domain.environment
    env, module = gym.make(name, **settings), with_weights(domain.network.module(), genome).double()
    picture, info = env.reset()
    pictures, positions, state, over = [], [info["behavior"]], None, False
    while not over:
        pictures.append(picture[..., 0])
        with torch.inference_mode():
            features = module.features(torch.from_numpy(picture[None, None, ..., 0]))
            hidden, state = module.lstm(features, state)
            outputs = module.output(hidden)[0, 0]
        picture, _, over, _, info = env.step(int(outputs.argmax()))
        positions.append(info["behavior"])
    return info, np.stack(pictures), np.stack(positions)


@pytest.mark.parametrize(("domain", "steps"), MAZES)
def test_a_batch_of_walkers_does_what_each_does_alone(domain, steps):
    genomes = domain.network.initial_genomes(30, np.random.default_rng(5))
    batch = domain.evaluate(genomes)
    chosen = [*np.argsort(batch.fitness)[[0, -1]], 3]  # the reference is slow
    assert batch.fitness[chosen[1]] >= 1
    for lane in chosen:
        info, pictures, positions = walk_alone(domain, genomes[lane])
        assert batch.fitness[lane] == info["fitness"] and batch.solved[lane] == info["solved"]
        film = batch.experiences[lane]
        assert film["order"].shape == (1, steps)
        np.testing.assert_array_equal(film["pictures"][0][film["order"][0]], pictures)
        np.testing.assert_array_equal(batch.behavior[lane], positions)


class Scripted(CompiledConvLSTM):
    """Walkers that act from a list of actions each, and see as the network does."""

    def __init__(self, scripts):
        super().__init__(depth=1)
        self.scripts = scripts

    def policy(self, genomes):
        seeing, steps = super().policy(genomes), iter(np.transpose(self.scripts))

        class Policy:
            film = staticmethod(seeing.film)

            def __call__(self, pictures):
                seeing(pictures)
                return np.eye(5, dtype=np.float32)[next(steps)]

        return Policy()


def test_episodes_end_at_different_times():
    name, settings = TopdownMaze().environment
    path = gym.make(name).unwrapped.lanes.maze.path
    moves = {(-1, 0): 0, (1, 0): 1, (0, -1): 2, (0, 1): 3}
    solving = [moves[tuple(move)] for move in np.diff(path, axis=0)]
    idle, late = [4] * 40, [4] * 10 + solving
    scripts = [solving + idle[len(solving) :], idle, late + idle[len(late) :]]
    network = Scripted(scripts)
    found = walk(name, settings, network, network.initial_genomes(3, np.random.default_rng(0)), -1e8)
    lengths = [len(solving), 40, len(late)]
    assert [film["order"].shape for film in found.experiences] == [(1, length) for length in lengths]
    assert [len(positions) for positions in found.behavior] == [length + 1 for length in lengths]
    assert found.fitness.tolist() == [22, 0, 22] and found.solved.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.behavior[0], path)
    np.testing.assert_array_equal(found.behavior[2][10:], path)
    assert [film["pictures"].shape[1] for film in found.experiences] == [11, 1, 11]


def scripted(scripts, **settings):
    """What comes of walkers in first person that act from scripts (N, 100)."""
    domain, network = replace(EASY, **settings), Scripted(scripts)
    domain.__dict__["network"] = network
    return domain.evaluate(network.initial_genomes(len(scripts), np.random.default_rng(0)))


def test_a_setting_decides_which_place_counts():
    ahead, back, stay = [2], [3], [4]  # four frames of 0.125 squares are half a square
    scripts = [ahead * 12 + stay * 88, ahead * 12 + back * 8 + stay * 80, ahead * 100]
    furthest, last = (scripted(scripts, fitness_of=place) for place in ("furthest", "last"))
    np.testing.assert_allclose(furthest.fitness, [6, 6, 10.2], atol=0.1)
    assert last.fitness.tolist() == [6, 2, 8]  # the last one is in the dead end behind the last crossing
    broken = FirstPersonMaze(fitness_of="last")
    genomes = broken.network.initial_genomes(2, np.random.default_rng(5))
    genomes[1, -3] = np.nan
    assert broken.evaluate(genomes).fitness[1] == broken.broken_fitness
    with pytest.raises(ValueError, match="expected fitness_of to be 'furthest' or 'last', got 'first'"):
        FirstPersonMaze(fitness_of="first")


def test_a_setting_decides_where_a_walker_looks_at_first_and_how_thin_it_is():
    right = [[1] * 4 + [2] * 96]  # four times 22.5 degrees
    assert scripted(right, heading=270).fitness[0] == pytest.approx(scripted([[2] * 100]).fitness[0], abs=0.2)
    assert scripted(right).fitness[0] == 0
    thin = scripted([[2] * 100], body_radius=0.01).behavior[0][-1]
    wide = scripted([[2] * 100], body_radius=0.35).behavior[0][-1]
    assert thin[0] - wide[0] == pytest.approx(0.34, abs=1e-3)


def test_a_network_that_computes_no_numbers_is_the_worst():
    domain = TopdownMaze()
    genomes = domain.network.initial_genomes(3, np.random.default_rng(5))
    sound = domain.evaluate(genomes)
    genomes[1, -3] = np.nan
    found = domain.evaluate(genomes)
    assert found.fitness[1] == domain.broken_fitness and not found.solved[1]
    assert found.fitness[[0, 2]].tolist() == sound.fitness[[0, 2]].tolist()


def test_films_of_any_length_go_through_a_checkpoint():
    domain = FirstPersonMaze()
    births = [Birth(None, 1, 0, index) for index in range(6)]
    individuals = breed(domain, GaussianMutation(sigma=0.1), births).children
    assert len({each.experiences["pictures"].shape for each in individuals}) > 1
    restored = unpack("some", pack("some", individuals))
    for before, after in zip(individuals, restored, strict=True):
        assert before.experiences.keys() == after.experiences.keys()
        for key, array in before.experiences.items():
            np.testing.assert_array_equal(after.experiences[key], array)
            assert after.experiences[key].dtype == array.dtype
        np.testing.assert_array_equal(after.genome, before.genome)


def test_children_of_a_batch_are_those_of_single_parents():
    domain = TopdownMaze()
    operator = SMGSum(domain.network, sigma=0.01)
    founders = breed(domain, operator, [Birth(None, 1, 0, index) for index in range(4)]).children
    births = [Birth(parent, 1, 0, 4 + n) for n, parent in enumerate(founders)]
    together = breed(domain, operator, births)
    for birth, child, sensitivity in zip(births, *together, strict=True):
        [alone], [its_sensitivity] = breed(domain, operator, [birth])
        np.testing.assert_array_equal(alone.genome, child.genome)
        np.testing.assert_array_equal(its_sensitivity, sensitivity)
        assert alone.fitness == child.fitness


@pytest.mark.parametrize("method", ["control", "SM-G-SUM", "SM-G-SO"])
def test_a_search_goes_on_from_its_state_as_if_it_had_not_stopped(method):
    search = experiment(TopdownMaze(), method, runs=2, max_evaluations=256)
    straight = search.lockstep()
    list(straight.run())
    stopped, resumed = search.lockstep(), search.lockstep()
    steps = stopped.run()
    for _ in range(4):
        next(steps)
    resumed.load(stopped.state())
    list(resumed.run())
    for ours, expected in zip(resumed.replicates, straight.replicates, strict=True):
        assert ours.evaluations == expected.evaluations == 256
        np.testing.assert_array_equal(ours.champion.genome, expected.champion.genome)


@pytest.mark.parametrize(
    ("domain", "weights"),
    [(LargeScale32(), 505_752), (LargeScale64(), 1_009_752), (LargeScale101(), 238_226)],
)
def test_large_networks_drive_as_their_modules_do(domain, weights):
    assert domain.network.num_params == weights
    genomes = domain.network.initial_genomes(2, np.random.default_rng(3))
    batch = domain.evaluate(genomes)
    assert batch.experiences.shape == (2, 400, 11) and batch.behavior.shape == (2, 135, 2)
    env = gym.make("safemaze/BreadcrumbHardMaze-v0")
    module = with_weights(domain.network.module(), genomes[1])
    observation, _ = env.reset()
    for frame in range(150):  # rounding grows in a hundred layers, and in the maze
        if frame % 3 == 0:
            with torch.inference_mode():
                action = module(torch.from_numpy(observation)[None])[0].numpy()
        np.testing.assert_allclose(batch.experiences[1, frame], observation, atol=1e-3)
        observation, _, _, _, info = env.step(action)
    assert batch.behavior[1, 50] == pytest.approx(info["behavior"], abs=0.05)
    assert np.linalg.norm(batch.behavior[:, 50] - batch.behavior[:, 0], axis=1).min() > 5


@pytest.mark.parametrize("domain", [TopdownMaze(), FirstPersonMaze(), LargeScale101()])
def test_a_champion_has_a_picture(domain, tmp_path):
    [champion] = breed(domain, GaussianMutation(sigma=0.1), [Birth(None, 1, 0, 0)]).children
    said = domain.picture(tmp_path / "end.png", champion, seed=1)
    assert str(tmp_path / "end.png") in said
    with Image.open(tmp_path / "end.png") as picture:
        assert np.asarray(picture).std() > 10
