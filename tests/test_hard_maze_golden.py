"""The robot against trajectories recorded from the simulator published with the paper (golden/README.md)."""

import platform
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import gym_safemaze  # noqa: F401

GOLDEN = Path(__file__).parent / "golden" / "hard_maze_golden.npz"
EXACT = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


def states(lanes) -> np.ndarray:
    names = ("heading", "speed", "turn_rate")
    return np.column_stack([lanes.state["position"], *(lanes.state[name] for name in names)])


def same_states(ours: np.ndarray, published: np.ndarray) -> None:
    if EXACT:
        np.testing.assert_array_equal(ours, published)
    else:  # another machine's cos may round differently in the last place
        np.testing.assert_allclose(ours, published, atol=2e-3)


def test_all_trajectories_at_once_follow_the_published_simulator(golden):
    envs = gym.make_vec("safemaze/BreadcrumbHardMaze-v0", num_envs=len(golden["actions"]))
    observations, _ = envs.reset()
    for step in range(401):
        same_states(states(envs.lanes), golden["states"][:, step])
        np.testing.assert_allclose(observations, golden["sensors"][:, step], atol=1e-5)
        if step == 400:
            break
        observations, _, terminated, truncated, info = envs.step(golden["actions"][:, step])
        np.testing.assert_array_equal(info["solved"], golden["reach"][:, step + 1].astype(bool))
        np.testing.assert_array_equal(terminated, np.full(len(terminated), step == 399))
        assert not truncated.any()
    np.testing.assert_array_equal(envs.lanes.state["collisions"], golden["collisions"])
    np.testing.assert_array_equal(info["behavior"], envs.lanes.state["position"])


@pytest.mark.parametrize("number", range(20))
def test_single_environment_follows_the_published_simulator(golden, number):
    env = gym.make("safemaze/BreadcrumbHardMaze-v0").unwrapped
    observation, _ = env.reset()
    for step, action in enumerate(golden["actions"][number]):
        np.testing.assert_allclose(observation, golden["sensors"][number, step], atol=1e-5)
        observation, _, terminated, _, info = env.step(action)
        same_states(states(env.lanes)[0], golden["states"][number, step + 1])
        assert info["solved"] == golden["reach"][number, step + 1]
    assert terminated


def test_some_recorded_trajectories_solve_the_maze_and_some_do_not(golden):
    assert 0 < golden["reach"][:, -1].sum() < len(golden["reach"])


def test_fitness_is_the_published_path_length_to_within_six_units(golden):
    envs = gym.make_vec("safemaze/BreadcrumbHardMaze-v0", num_envs=len(golden["actions"]))
    _, info = envs.reset()
    assert np.abs(info["fitness"] + 523).max() <= 0.02 * 523
    for step in range(400):
        info = envs.step(golden["actions"][:, step])[-1]
    assert np.abs(info["fitness"] - golden["fitness"]).max() <= 6


def test_holding_each_action_for_three_frames_equals_repeating_it(golden):
    held = golden["actions"][:, ::3]
    skipping = gym.make_vec(
        "safemaze/BreadcrumbHardMaze-v0", num_envs=len(held), frame_skip=3, record_frames=True
    )
    plain = gym.make_vec("safemaze/BreadcrumbHardMaze-v0", num_envs=len(held))
    first, info = skipping.reset()
    np.testing.assert_array_equal(info["frames"], np.repeat(first[:, np.newaxis], 3, axis=1))
    plain.reset()
    for decision in range(134):
        observations, rewards, terminated, _, info = skipping.step(held[:, decision])
        assert info["frames"].shape == (len(held), 3, 11)
        total = 0.0
        for frame in range(3):
            if 3 * decision + frame < 400:
                expected, reward, over, _, _ = plain.step(held[:, decision])
                total = total + reward
            np.testing.assert_array_equal(info["frames"][:, frame], expected)
        np.testing.assert_array_equal(observations, expected)
        np.testing.assert_array_equal(rewards, total)
        np.testing.assert_array_equal(terminated, over)
        np.testing.assert_array_equal(info["steps"], min(3 * decision + 3, 400))
    assert terminated.all()
    np.testing.assert_array_equal(states(skipping.lanes), states(plain.lanes))
