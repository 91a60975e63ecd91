"""The settings in networks and populations that are not the paper's: searches, and what is made of them."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from beyond.other_networks import CONTROL, OTHER_NETWORKS, SETTINGS, TASKS, HardMazeWith
from evolution.atomic_file import write_json
from paper.figure import Request
from paper.table_s2 import TABLE_S2


@pytest.fixture
def jobs(tmp_path):
    return OTHER_NETWORKS.jobs(Request(1, (), tmp_path / "results", tmp_path / "work"))


def test_no_task_is_the_papers_and_no_two_searches_are_the_same(jobs):
    assert len(jobs) == len(TASKS) * (len(SETTINGS) + 1) == len({job.result for job in jobs})
    for name, task in TASKS.items():
        row = TABLE_S2.get(task.domain.name)
        assert row is None or row.algorithm.population_size != task.population, name
    assert len({repr(task.domain.network) for task in TASKS.values()}) == len(TASKS)
    for job in jobs:
        operator = job.experiment.operator
        if job.result.stem == CONTROL:
            assert operator.divergence is None and operator.sigma > 0
        else:
            assert operator.divergence == SETTINGS[job.result.stem].divergence
            assert operator.sigma is None and operator.weight_clip is None


@pytest.mark.parametrize(("activation", "kind"), [("tanh", nn.Tanh), ("relu", nn.ReLU), ("selu", nn.SELU)])
def test_robots_do_what_an_ordinary_module_does(activation, kind):
    domain = HardMazeWith(hidden=(5, 7), activation=activation)
    genomes = domain.network.initial_genomes(3, np.random.default_rng(6))
    evaluation = domain.evaluate(genomes)
    module = nn.Sequential(nn.Linear(11, 5), kind(), nn.Linear(5, 7), kind(), nn.Linear(7, 2), nn.Sigmoid())
    env = gym.make("safemaze/BreadcrumbHardMaze-v0", frame_skip=3)
    for genome, fitness, experiences in zip(genomes, evaluation.fitness, evaluation.experiences, strict=True):
        nn.utils.vector_to_parameters(torch.from_numpy(genome), module.parameters())
        observation, _ = env.reset()
        met, over = [], False
        while not over:
            met.append(observation)
            with torch.no_grad():
                action = module(torch.from_numpy(observation)).numpy()
            observation, _, over, _, info = env.step(action)
        assert fitness == pytest.approx(info["fitness"], abs=0.1)
        np.testing.assert_allclose(experiences[::3][: len(met)], met, atol=1e-3)


def test_the_table_names_the_worst_of_a_settings_ratios(tmp_path):
    first, second, *_ = SETTINGS
    for task in list(TASKS)[:2]:
        for method in (*SETTINGS, CONTROL):
            at = {first: 1_000, second: 2_500, CONTROL: 20_000}.get(method, 4_000)
            if task == list(TASKS)[1]:
                at = {first: 3_000, second: 2_000}.get(method)
            file = OTHER_NETWORKS.file(tmp_path, task, method)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"runs": [{"solved_at": at}] * 5})
    lines = OTHER_NETWORKS.tables(tmp_path)["other-networks"].splitlines()
    ratios = [float(line.split(" | ")[-1].strip(" |")) for line in lines[2:6]]
    assert ratios == [1.5, 2.5, 10, 10]
    assert "5/5, 2.5k, 2.50 (p = 0.004 faster)" in lines[3]
    assert lines[6].startswith(f"| {CONTROL} |  |  | 5/5, 20.0k | 0/5, never |")
    assert lines[-1] == "2 of 4 tasks have finished."


def test_nothing_is_said_before_a_task_has_finished(tmp_path):
    assert OTHER_NETWORKS.tables(tmp_path) == {}
    OTHER_NETWORKS.draw(tmp_path)
    assert not any(tmp_path.iterdir())
