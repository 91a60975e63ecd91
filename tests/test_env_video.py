"""Gymnasium's RecordVideo on every environment, with no screen: the video shows what was drawn."""

import subprocess

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import RecordVideo as VectorRecordVideo

from every_environment import IDS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the video library


def record(env, folder) -> None:
    """Play three steps."""
    recorder = (RecordVideo if isinstance(env, gym.Env) else VectorRecordVideo)(env, str(folder))
    recorder.reset(seed=1)
    recorder.action_space.seed(1)
    for _ in range(3):
        recorder.step(recorder.action_space.sample())
    recorder.close()


def pictures(name: str, seed: int, actions) -> np.ndarray:
    env = gym.make(name, render_mode="rgb_array")
    env.reset(seed=seed)
    drawn = [env.render()]
    for action in actions:
        env.step(action)
        drawn.append(env.render())
    return np.array(drawn)


def assert_shows(folder, drawn: np.ndarray) -> None:
    """Compare a video with pictures, up to compression."""
    [video] = folder.glob("*.mp4")
    decode = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(video), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    content = subprocess.run(decode, capture_output=True, check=True).stdout
    frames = np.frombuffer(content, np.uint8).reshape(-1, *drawn.shape[1:]).astype(np.int16)
    assert len(frames) == len(drawn)
    for number, frame in enumerate(frames):
        distances = [np.abs(frame - picture).mean() for picture in drawn]
        assert distances[number] < 4
        assert distances[number] <= min(distances) + 0.01, "each frame shows its own picture"


@pytest.mark.parametrize("name", IDS)
def test_single_environments_are_recorded(name, tmp_path):
    env = gym.make(name, render_mode="rgb_array")
    record(env, tmp_path / "videos")
    env.action_space.seed(1)
    assert_shows(tmp_path / "videos", pictures(name, 1, [env.action_space.sample() for _ in range(3)]))


def test_vector_environments_are_recorded(tmp_path):
    """Lanes side by side."""
    name = "safemaze/BreadcrumbHardMaze-v0"
    lanes = gym.make_vec(name, num_envs=2, render_mode="rgb_array")
    record(lanes, tmp_path / "videos")
    lanes.action_space.seed(1)
    actions = np.array([lanes.action_space.sample() for _ in range(3)])
    drawn = [pictures(name, 1 + lane, actions[:, lane]) for lane in range(2)]
    assert_shows(tmp_path / "videos", np.concatenate(drawn, axis=2))
