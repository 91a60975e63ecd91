"""Gymnasium's RecordVideo on every environment, with no screen."""

import gymnasium as gym
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import RecordVideo as VectorRecordVideo

from test_env_api import IDS


def play(env, steps=3):
    env.reset(seed=1)
    for _ in range(steps):
        env.step(env.action_space.sample())
    env.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the video library
@pytest.mark.parametrize("name", IDS)
def test_single_environments_are_recorded(name, tmp_path):
    play(RecordVideo(gym.make(name, render_mode="rgb_array"), str(tmp_path / "videos")))
    [video] = (tmp_path / "videos").glob("*.mp4")
    assert video.stat().st_size > 500


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the video library
def test_vector_environments_are_recorded(tmp_path):
    lanes = gym.make_vec("safemaze/BreadcrumbHardMaze-v0", num_envs=2, render_mode="rgb_array")
    play(VectorRecordVideo(lanes, str(tmp_path / "videos")))
    [video] = (tmp_path / "videos").glob("*.mp4")
    assert video.stat().st_size > 500
