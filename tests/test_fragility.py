"""How small a step changes what champions do: networks whose answer is known, and the command line."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import evolve
import fragility
import reproduce
import watch
from evolution.domain import Domain, Evaluation
from safe_mutation import FlatNetwork

EXPERIENCES = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)


class Steep(nn.Module):
    """Outputs that react to weights `slope` times as much as those of a linear layer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.w = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * (x @ self.w)[..., None]


@dataclass(frozen=True)
class Steepness(Domain):
    """Champions of such a network."""

    slope: float = 1.0

    @property
    def network(self):
        return FlatNetwork(Steep(self.slope))

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        number = len(genomes)
        return Evaluation(np.zeros(number), np.zeros(number, bool), [EXPERIENCES] * number, [None] * number)


def test_the_step_is_as_long_as_a_loop_over_random_directions_finds():
    genomes = np.random.default_rng(1).standard_normal((20, 4)).astype(np.float32)
    found = fragility.steps(Steepness(slope=3.0), genomes, 0.03)
    directions = np.random.default_rng(2).standard_normal((20_000, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.sqrt(0.03 / ((3 * directions @ EXPERIENCES.T) ** 2).mean(1))
    own = np.linalg.norm(genomes, axis=1)
    assert np.median(found * own) == pytest.approx(np.median(lengths), rel=0.1)


def test_a_network_a_thousand_times_as_steep_needs_a_thousandth_of_the_step():
    genomes = np.ones((3, 4), np.float32)
    gentle, steep = (fragility.steps(Steepness(slope=slope), genomes, 0.03) for slope in (1.0, 1000.0))
    np.testing.assert_allclose(gentle / steep, 1000, rtol=0.02)


def test_a_result_has_a_row_for_each_run_and_the_medians(tmp_path, capsys):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    command = ["figure-1", "--methods", "SM-R", "--runs", "3", "--max-evaluations", "253"]
    assert reproduce.main([*command, *folders]) == 0
    capsys.readouterr()
    assert fragility.main([str(tmp_path / "results" / "figure-1" / "SM-R.json")]) == 0
    said = capsys.readouterr().out
    assert said.count("| never |") == 3 and "\n3 not solved: median step" in said and "\n3 solved" not in said


def test_a_result_in_parts_is_one(tmp_path, capsys):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    for runs in ("2", "2-3", "4-4"):
        command = ["figure-1", "--methods", "SM-R", "--runs", runs, "--max-evaluations", "253"]
        assert reproduce.main([*command, *folders]) == 0
    capsys.readouterr()
    result = tmp_path / "results" / "figure-1" / "SM-R.json"
    assert fragility.main([str(result)]) == 0
    said = capsys.readouterr().out
    assert said.count("| never |") == 5 and "\n5 not solved: median step" in said
    fewer, whole = result.with_name("SM-R.4-4.npz"), result.with_name("SM-R.2-3.npz")
    shutil.copy(fewer, whole)
    assert fragility.main([str(result)]) == 2
    assert "expected 2 champions, one of each run in " in (error := capsys.readouterr().err)
    assert error.endswith("SM-R.2-3.json, got 1\n")


def test_medians_are_of_those_that_solve_the_domain_and_of_the_others():
    solved = [100.0, np.inf, 2000.0, np.inf, np.inf]
    said = fragility.table([np.ones(4)] * 5, solved, np.array([0.1, 0.001, 0.3, 0.002, np.inf]))
    assert "\n2 solved: median step 0.2\n3 not solved: median step 0.002\n" in said
    assert "| 3 | 2,000 | 2 | 0.3 |" in said and "| 5 | never | 2 | inf |" in said


def test_champions_of_something_else_are_named(tmp_path, capsys):
    folders = ["--results", str(tmp_path), "--work", str(tmp_path / "work")]
    command = ["figure-1", "--methods", "SM-R", "--runs", "2", "--max-evaluations", "253"]
    assert reproduce.main([*command, *folders]) == 0
    result = tmp_path / "figure-1" / "SM-R.json"
    fewer = ["figure-1", "--methods", "SM-R", "--runs", "1", "--max-evaluations", "253"]
    others = tmp_path / "others"
    assert reproduce.main([*fewer, "--results", str(others), "--work", str(tmp_path / "work")]) == 0
    capsys.readouterr()
    shutil.copy(others / "figure-1" / "SM-R.npz", result.with_suffix(".npz"))
    assert fragility.main([str(result)]) == 2
    assert "expected 2 champions" in capsys.readouterr().err
    np.savez(result.with_suffix(".npz"), genome=np.ones(3))
    for command in (fragility, watch):
        assert command.main([str(result)]) == 2
        assert str(result.with_suffix(".npz")) in capsys.readouterr().err


def test_a_run_has_one_champion(tmp_path, capsys):
    command = ["recurrent-parity", "--operator", "SM-R", "--runs", "1", "--max-evaluations", "253"]
    assert evolve.main([*command, "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    assert fragility.main([str(tmp_path), "--divergence", "0.01"]) == 0
    assert capsys.readouterr().out.count("\n| ") == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "nowhere"),
        (["nowhere.json"], "nowhere.json"),
    ],
)
def test_what_is_not_there_is_named(arguments, expected, capsys):
    assert fragility.main(arguments) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("divergence", ["0", "-1", "nan", "inf"])
def test_a_bad_divergence(divergence, tmp_path, capsys):
    command = ["recurrent-parity", "--operator", "SM-R", "--runs", "1", "--max-evaluations", "253"]
    assert evolve.main([*command, "--output", str(tmp_path)]) == 0
    assert fragility.main([str(tmp_path), "--divergence", divergence]) == 2
    assert "expected" in capsys.readouterr().err


def test_where_no_step_changes_the_outputs_the_length_is_infinite():
    assert fragility.steps(Steepness(slope=0.0), np.ones((2, 4), np.float32), 0.03).tolist() == [np.inf] * 2


def test_a_genome_of_zeros_has_no_length_to_compare_with():
    assert fragility.steps(Steepness(), np.zeros((1, 4), np.float32), 0.03).tolist() == [np.inf]
