"""What reading all of the code found: each of these failed before."""

from __future__ import annotations

import io
import json
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import divergent_search
import mutants_movie
from evolution.crew import Crew, TaskFailed
from evolution.said import SAID
from gym_safemaze.checks import check_seed
from gym_safemaze.wall_maze import WallMaze
from safe_mutation import SMGSO, SMR, DivergenceNotReached, FisherCrossover, SMGAbs, SMGRms, SMGSum, make

NETWORK = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_divergent_search_runs_all_methods_if_none_is_named(tmp_path, monkeypatch, capsys):
    seen = []

    def quick(algorithm, method, seed, evaluations):
        seen.append(method)
        curve = {"evaluations": [500, 1000], "coverage": [0.1, 0.2], "qd_score": [10, 20]}
        return {"method": method, "seed": seed, "solved_at": None, "places": "0" * 626, **curve}, None

    monkeypatch.setattr(divergent_search, "search", quick)
    command = ["x", "map-elites", "--runs", "1", "--evaluations", "1000", "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    divergent_search.main()
    assert seen == list(divergent_search.METHODS)
    capsys.readouterr()


@pytest.mark.parametrize("operator", [SMGAbs, SMGRms, SMGSum, SMGSO])
@pytest.mark.parametrize("last", [nn.LayerNorm(4), nn.Softmax(-1)])
def test_the_plan_is_that_of_the_call_not_of_the_copies_it_tries(operator, last):
    network = nn.Sequential(nn.Linear(6, 4), last, nn.Linear(4, 3))
    op = operator(network, sigma=0.1)
    op(op.network.flatten(), experiences=torch.rand(20, 6), generator=1)
    assert op.plan.batching == "looped"  # a single genome is computed as it is


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SMR(NETWORK, divergence=0.01, max_passes=None),
        lambda: FisherCrossover(NETWORK, max_passes=None),
    ],
)
def test_a_search_needs_a_number_of_passes(wrong):
    with pytest.raises(ValueError, match="expected max_passes to be an integer of at least 3, got None"):
        wrong()


@pytest.mark.parametrize("name, strength", [("SM-R", "divergence"), ("SM-G-SUM", "sigma")])
def test_make_does_not_overwrite_what_is_given(name, strength):
    with pytest.raises(ValueError, match=rf"expected intensity or {strength} for {name}, .*{strength}=0\.5"):
        make(name, NETWORK, intensity=0.1, **{strength: 0.5})


def test_smr_takes_modules_whose_outputs_are_numpy():
    class Numpy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> np.ndarray:
            return torch.tanh(self.linear(x)).detach().numpy()

    op, experiences = SMR(Numpy(), divergence=0.01), torch.rand(10, 3)
    parent = op.network.flatten()
    for parents in (parent, torch.stack([parent, 2 * parent])):
        _, info = op(parents, experiences=experiences, generator=1, return_info=True)
        assert np.allclose(info.divergence, 0.01, rtol=0.1)
    with pytest.raises(TypeError, match="expected outputs that are differentiable in params"):
        SMGSum(Numpy(), sigma=0.1)(parent, experiences=experiences)


@pytest.mark.parametrize("broken", ["closed", "full"])
def test_no_search_ends_for_want_of_a_listener(broken, monkeypatch):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    class Broken:
        def submit(self, function, *arguments):
            raise RuntimeError("lost")

        def shutdown(self, **options):
            pass

    listener = Full()
    if broken == "closed":
        listener = io.StringIO()
        listener.close()
    monkeypatch.setattr(sys, "stderr", listener)
    SAID.write("hello")
    SAID.flush()
    crew = Crew(Broken, 1.0)
    with pytest.raises((TaskFailed, RuntimeError), match="lost"):  # and not the listener's error
        crew.result(crew.submit("a task", abs, -1))


def test_a_missed_divergence_points_at_the_caller():
    op = SMR(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), divergence=0.9)
    for call in (
        lambda: op(op.network.flatten(), experiences=torch.rand(5, 3), generator=1),
        lambda: op.mutate_(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), experiences=torch.rand(5, 3)),
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            call()
        assert [(one.category, one.filename) for one in said] == [(DivergenceNotReached, __file__)]


def test_a_seed_below_zero_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        mutants_movie.main([str(tmp_path / "champion.npz"), "--seed", "-1"])
    assert ended.value.code == 2
    assert "argument --seed: expected a seed from 0 to 2**63 - 1, got -1" in capsys.readouterr().err


def test_a_record_that_was_changed_is_not_trusted(tmp_path):
    from evolution.atomic_file import write_json
    from evolution.champions import read_domain

    file = tmp_path / "record.json"
    write_json(file, {"domain": {"class": "TopdownMaze", "network": "CompiledConvLSTM(depth=12)"}})
    changed = json.loads(file.read_text())
    changed["domain"]["class"] = "FirstPersonMaze"
    file.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match="damaged"):
        read_domain(file)


def test_a_maze_has_one_heading_and_it_is_no_truth_value():
    walls = "wall 0 0 0 9\nwall 0 9 9 9\nstart 1 1\ngoal 5 5\nheading 90\n"
    assert WallMaze.parse(walls).heading == 90
    with pytest.raises(ValueError, match="expected at most one heading line, got 2"):
        WallMaze.parse(walls + "heading 10\n")
    with pytest.raises(ValueError, match=r"expected a heading in .* got True"):
        WallMaze([[0, 0, 0, 9]], (1, 1), (5, 5), True)
    with pytest.raises(ValueError, match="expected seeds to be integers of at least 0 or None, got True"):
        check_seed(True)


def test_a_film_of_numpy_arrays_is_named():
    from evolution.networks.conv_lstm import CompiledConvLSTM

    network = CompiledConvLSTM(1)
    film = {"pictures": np.zeros((1, 1, 64, 64), np.uint8), "order": np.zeros((1, 2), int)}
    with pytest.raises(TypeError, match="expected a film of tensors, got ndarray and ndarray"):
        network(torch.zeros(1, network.num_params), film)
