"""The file that people copy: short, self-contained, and it evolves."""

import re
import sys
from pathlib import Path

import gymnasium as gym
import pytest
import torch

import minimal_ga

SOURCE = Path(minimal_ga.__file__).read_text()


def test_it_is_short_and_needs_the_two_packages_and_their_dependencies_only():
    assert SOURCE.count("\n") < 100
    imported = set(re.findall(r"^(?:import|from) (\w+)", SOURCE, flags=re.M))
    packages = imported - set(sys.stdlib_module_names)
    assert packages == {"gymnasium", "numpy", "pygame", "torch", "gym_safemaze", "safe_mutation"}


@pytest.mark.parametrize("arguments", [["--evaluations", "0"], ["--population", "3"], ["--seed", "-1"]])
def test_bad_arguments_are_one_line(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["minimal_ga.py", *arguments])
    with pytest.raises(SystemExit):
        minimal_ga.main()
    assert "expected at least 1 evaluation, a population of 5 and a seed of 0" in capsys.readouterr().err


def test_a_path_that_ends_like_a_folders_names_the_files(tmp_path, monkeypatch):
    arguments = ["--evaluations", "6", "--population", "5", "--output", f"{tmp_path}/champion/"]
    monkeypatch.setattr("sys.argv", ["minimal_ga.py", *arguments])
    minimal_ga.main()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["champion.png", "champion.pt"]


def test_it_evolves_and_saves_a_champion_that_loads_into_a_plain_module(tmp_path, monkeypatch, capsys):
    output = tmp_path / "a new folder" / "champion"
    arguments = ["--evaluations", "150", "--population", "20", "--output", str(output)]
    monkeypatch.setattr("sys.argv", ["minimal_ga.py", *arguments])
    minimal_ga.main()
    best = float(re.findall(r"best fitness (-?\d+)", capsys.readouterr().out)[-1])
    policy = minimal_ga.make_policy()
    policy.load_state_dict(torch.load(f"{output}.pt", weights_only=True))
    fitness, _, experiences = minimal_ga.rollout(
        policy, gym.make("safemaze/BreadcrumbHardMaze-v0", frame_skip=3)
    )
    assert round(fitness) == best
    assert experiences.shape == (134, 11)
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
