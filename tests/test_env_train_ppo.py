"""The reinforcement learning example, for one rollout."""

import csv

import numpy as np
import pytest

import train_ppo


def test_training_writes_its_learning_curve(tmp_path, capsys):
    train_ppo.main(["topdown-maze", "--steps", "1", "--output", str(tmp_path / "results")])
    with (tmp_path / "results" / "learning_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert 0 <= float(rows[0]["share_solved"]) <= 1
    assert (tmp_path / "results" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "results" / "model.zip").exists()
    assert f"mean fitness {float(rows[0]['mean_fitness']):.1f}" in capsys.readouterr().out


def test_robots_take_actions_between_minus_one_and_one():
    venv = train_ppo.hard_maze()
    venv.reset()
    for _ in range(20):
        _, _, _, infos = venv.step(np.tile(np.float32([[0.0, 1.0]]), (32, 1)))
    assert infos[0]["behavior"][0] > 40, "straight on at full speed"
    assert infos[0]["behavior"][1] == 184


def test_a_block_is_read_by_its_pixel():
    venv = train_ppo.topdown_maze()
    blocks = venv.reset().reshape(64, 16, 9)
    np.testing.assert_array_equal(blocks[:, :-1], 0)  # nothing remembered yet
    # S of figure 5a: walls around, free only here and to the east
    np.testing.assert_array_equal(blocks[0, -1], [0, 0, 0, 0, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("arguments", [["tetris"], ["topdown-maze", "--steps", "0"]])
def test_bad_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        train_ppo.main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_unwritable_output_ends_with_status_2(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SystemExit) as stop:
        train_ppo.main(["topdown-maze", "--output", str(tmp_path / "file" / "results")])
    assert stop.value.code == 2
    assert "cannot write" in capsys.readouterr().err
