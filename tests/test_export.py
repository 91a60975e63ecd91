"""Champions leave for plain modules, and histories for listeners."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import evolve
from evolution.domains import DOMAINS
from evolution.export import state_dict, write_safetensors, write_state_dict
from paper.table_s2 import experiment

WITH_MODULE = [name for name, domain in DOMAINS.items() if hasattr(domain().network, "module")]


@pytest.mark.parametrize("name", WITH_MODULE)
def test_weights_are_those_of_the_genome_in_the_modules_order(name, tmp_path):
    network = DOMAINS[name]().network
    [genome] = network.initial_genomes(1, np.random.default_rng(1))
    weights = state_dict(network, genome)
    write_state_dict(tmp_path / "champion.pt", weights)
    module = network.module()
    module.load_state_dict(torch.load(tmp_path / "champion.pt", weights_only=True))
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(module.parameters()).detach(), genome)


def test_a_champion_acts_alike_in_a_plain_module(tmp_path):
    arguments = ["breadcrumb-hard-maze", "--operator", "control", "--runs", "1", "--max-evaluations", "260"]
    assert evolve.main([*arguments, "--output", str(tmp_path)]) == 0
    network = DOMAINS["breadcrumb-hard-maze"]().network
    with np.load(tmp_path / "champion.npz") as file:
        genome, inputs = torch.from_numpy(file["genome"]), torch.from_numpy(file["experiences"])
    module = network.module()
    module.load_state_dict(torch.load(tmp_path / "champion.pt", weights_only=True))
    with torch.no_grad():
        torch.testing.assert_close(module(inputs), network(genome[None], inputs[None])[0])


def test_safetensors_reads_what_is_written(tmp_path):
    reader = pytest.importorskip("safetensors.torch")
    weights = {"a.weight": torch.randn(3, 2), "b": torch.randn(5), "c": torch.zeros(())}
    write_safetensors(tmp_path / "x.safetensors", weights)
    again = reader.load_file(tmp_path / "x.safetensors")
    assert list(again) == sorted(weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(again[name], tensor, rtol=0, atol=0)


def test_listeners_hear_every_line_of_the_history(tmp_path):
    heard = []
    small = experiment(DOMAINS["recurrent-parity"](), "control", runs=2, max_evaluations=600)
    evolve.evolve_in(tmp_path, small, solutions=2, listeners=(heard.append,))
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert heard == lines != []


def test_tensorboard_has_the_curves_of_the_history(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = ["recurrent-parity", "--operator", "control", "--runs", "2", "--max-evaluations", "600"]
    assert evolve.main([*arguments, "--tensorboard", "--output", str(tmp_path)]) == 0
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    for run in (0, 1):
        expected = [(line["evaluations"], line["best_fitness"]) for line in lines if line["run"] == run]
        curve = events.Scalars(f"best_fitness/run {run}")
        assert [point.step for point in curve] == [step for step, _ in expected]
        np.testing.assert_allclose([point.value for point in curve], [value for _, value in expected], 1e-6)
