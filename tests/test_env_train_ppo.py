"""The reinforcement learning example, for one rollout."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from stable_baselines3 import PPO

import train_ppo


def test_training_writes_its_learning_curve(tmp_path, capsys):
    train_ppo.main(["topdown-maze", "--steps", "1", "--output", str(tmp_path / "results")])
    with (tmp_path / "results" / "learning_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    [row] = rows
    assert row["steps"] == "5120"  # 64 lanes, 80 decisions
    assert 2 < float(row["mean_fitness"]) < 5, "a policy that has learnt nothing yet"
    assert row["share_solved"] == "0.000"
    with Image.open(tmp_path / "results" / "learning_curve.png") as picture:
        assert picture.size == (660, 385)
    model = PPO.load(tmp_path / "results" / "model", device="cpu")
    actions, _ = model.predict(train_ppo.topdown_maze().reset())
    assert actions.shape == (64,) and np.isin(actions, range(5)).all()
    assert f"mean fitness {float(row['mean_fitness']):.1f}" in capsys.readouterr().out


def test_the_curve_is_the_mean_of_the_latest_episodes(tmp_path):
    curve = train_ppo.LearningCurve()
    for number in range(3):
        episodes = [{"fitness": float(10 * number + k), "solved": k < number} for k in range(4)]
        curve.model = SimpleNamespace(ep_info_buffer=episodes)
        curve.num_timesteps = 100 * number
        curve.on_rollout_end()
    assert curve.rows == [(0, 1.5, 0.0), (100, 11.5, 0.25), (200, 21.5, 0.5)]
    train_ppo.write_curve(tmp_path, "a maze", curve.rows)
    assert (tmp_path / "learning_curve.csv").read_text().splitlines()[1:] == [
        "0,1.50,0.000",
        "100,11.50,0.250",
        "200,21.50,0.500",
    ]
    with Image.open(tmp_path / "learning_curve.png") as picture:
        blue = np.argwhere((np.array(picture)[:, :, :3] == (0x26, 0x65, 0xBD)).all(axis=2))
    ends = blue[blue[:, 1].argsort()][[0, -1]]
    assert ends[0, 1] < 150 and ends[1, 1] > 500 and ends[0, 0] > ends[1, 0] + 150, "from low to high"


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
