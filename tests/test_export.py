"""Champions leave for plain modules, and histories for listeners."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evolve
from evolution.domains import DOMAINS
from evolution.export import state_dict, write_safetensors, write_state_dict

README = Path(evolve.__file__).parent / "README.md"
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


def test_the_readmes_program_listens_and_takes_the_champion_away(tmp_path, monkeypatch):
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    heard = []
    names = {"print": heard.append}
    exec(compile(program, "README.md", "exec"), names)
    lines = [json.loads(line) for line in (tmp_path / "runs/mine/history.jsonl").read_text().splitlines()]
    assert heard == lines != []
    with np.load(tmp_path / "runs/mine/champion.npz") as file:
        weights = nn.utils.parameters_to_vector(names["module"].parameters()).detach()
        np.testing.assert_array_equal(weights, file["genome"])


def test_tensorboard_has_the_curves_of_the_history(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = ["recurrent-parity", "--operator", "control", "--runs", "2", "--max-evaluations", "600"]
    assert evolve.main([*arguments, "--tensorboard", "--output", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    for run in (0, 1):
        expected = [(line["evaluations"], line["best_fitness"]) for line in lines if line["run"] == run]
        events = EventAccumulator(str(tmp_path / f"run-{run}"))
        events.Reload()
        curve = events.Scalars("best_fitness")
        assert [point.step for point in curve] == [step for step, _ in expected]
        np.testing.assert_allclose([point.value for point in curve], [value for _, value in expected], 1e-6)


def test_tensorboard_has_no_step_twice_after_a_kill(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from evolution.tensorboard import TensorBoard

    for session in ((250, 500, 750, 1000), (500, 750, 1000, 1250)):  # its last checkpoint was before 500
        listener = TensorBoard(tmp_path)
        for at in session:
            listener({"run": 3, "evaluations": at, "best_fitness": at, "mean_fitness": 0, "solved": False})
        listener.close()
    events = EventAccumulator(str(tmp_path / "run-3"))
    events.Reload()
    assert [point.step for point in events.Scalars("best_fitness")] == [250, 500, 750, 1000, 1250]


def test_what_is_not_installed_is_named_with_what_installs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("evolution.tensorboard", "torch.utils.tensorboard"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for option, command in (
        ("--tensorboard", "pip install tensorboard"),
        ("--ray", "-r examples/requirements-ray.txt"),
    ):
        assert evolve.main(["recurrent-parity", option, "--output", str(tmp_path / "run")]) == 2
        assert command in capsys.readouterr().err
