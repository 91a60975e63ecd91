"""Children of trained stable-baselines3 policies: the README says what was measured, and the file runs."""

import itertools
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import stable_baselines3_mutants as mutants
from gym_safemaze.ascii_maze import load_maze

RESULTS = Path(__file__).parents[1] / "examples" / "results" / "stable-baselines3"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*-mutants.json")), ids=lambda path: path.stem)
def test_the_readme_has_the_results(path):
    results = json.loads(path.read_text())
    readme = (Path(mutants.__file__).parent / "README.md").read_text()
    for name in ("safe", "SM-G-SUM", "random", "control"):
        shares = results[name]["shares"]
        assert len(shares) == 100
        assert results[name]["mean"] == pytest.approx(np.mean(shares), abs=1e-3)
        low, high = mutants.interval(shares)
        assert [low, high] == pytest.approx(results[name]["interval"], abs=2e-3)
        assert f"{np.mean(shares):.2f} ({low:.2f} to {high:.2f})" in readme
    assert results["safe"]["interval"][0] > results["control"]["interval"][1]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["ppo", "recurrent", "cnn"])
def test_it_runs(kind, monkeypatch, tmp_path):
    """With a policy that has hardly learned; the control's steps are as long as the safe ones."""
    make = mutants.train

    def train(kind, seed):
        for algorithm in (mutants.PPO, mutants.RecurrentPPO):
            monkeypatch.setattr(algorithm, "learn", lambda self, steps: self)
        return make(kind, seed)

    monkeypatch.setattr(mutants, "train", train)
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 256, (9, 1, 64, 64), "uint8") if kind == "cnn" else rng.normal(size=(200, 4))
    monkeypatch.setattr(mutants, "episode", lambda model: seen.astype("f") if kind != "cnn" else seen)
    own_return = mutants.mean_return  # in the maze one that has not learned has none
    monkeypatch.setattr(mutants, "mean_return", lambda *arguments: own_return(*arguments) + 1)
    monkeypatch.setattr(mutants, "CHILDREN", 2)
    monkeypatch.setattr("sys.argv", ["x", kind, "--output", str(tmp_path / "out")])
    threads = torch.get_num_threads()
    try:
        mutants.main()
    finally:
        torch.set_num_threads(threads)
    results = json.loads((tmp_path / "out.json").read_text())
    assert {len(results[name]["shares"]) for name in ("safe", "SM-G-SUM", "random", "control")} == {2}
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_steps_have_their_length_and_leave_the_critic_alone():
    mask = np.arange(10) < 6
    step = mutants.step_of_length(3.0, mask, np.random.default_rng(0))
    assert np.linalg.norm(step) == pytest.approx(3)
    assert (step[6:] == 0).all()
    assert (step[:6] != 0).all()


def test_an_episode_is_one_episode():
    model = mutants.PPO("MlpPolicy", "CartPole-v1", seed=1, device="cpu")
    seen = mutants.episode(model)
    assert seen.ndim == 2
    assert 8 <= len(seen) < 500
    assert np.abs(seen[0]).max() <= 0.05  # as CartPole begins
    assert np.abs(seen[1:]).max() > 0.05


def test_the_own_policy_is_put_back():
    model = mutants.PPO("MlpPolicy", "CartPole-v1", seed=1, device="cpu")
    own = model.policy
    assert mutants.mean_return(model, mutants.copy.deepcopy(own)) > 0
    assert model.policy is own


def test_the_stairs_need_no_memory():
    """Along the path equal views ask for equal moves, and a policy that knows them solves the maze."""
    env = gym.make("safemaze/TopdownMaze-v0", maze=mutants.STAIRS)
    moves = {(-1, 0): 0, (1, 0): 1, (0, -1): 2, (0, 1): 3}
    known: dict[bytes, int] = {}
    view, _ = env.reset()
    for here, there in itertools.pairwise(load_maze(mutants.STAIRS).path):
        move = moves[tuple(there - here)]
        assert known.setdefault(view.tobytes(), move) == move
        view, _, terminated, _, info = env.step(move)
    assert terminated
    assert info["solved"]
