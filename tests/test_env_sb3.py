"""Native vector environments inside Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from every_environment import IDS
from gym_safemaze.sb3 import SB3VecEnv, _info_per_lane


@pytest.mark.parametrize("env_id", IDS)
def test_it_behaves_like_stable_baselines3s_own_vector_environment(env_id):
    ours = SB3VecEnv(gym.make_vec(env_id, num_envs=3, autoreset_mode="SameStep"))
    theirs = DummyVecEnv([lambda: gym.make(env_id)] * 3)
    for venv in (ours, theirs):
        venv.seed(5)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    assert ours.reset_infos[1].keys() == theirs.reset_infos[1].keys()
    ours.action_space.seed(0)
    ends = 0
    while ends < 3:
        actions = np.stack([ours.action_space.sample() for _ in range(3)])
        mine, other = ours.step(actions), theirs.step(actions)
        for number in range(3):
            np.testing.assert_array_equal(mine[number], other[number])
        for ours_info, theirs_info in zip(mine[3], other[3], strict=True):
            assert ours_info.keys() | {"TimeLimit.truncated"} == theirs_info.keys()
            for key, value in ours_info.items():
                np.testing.assert_array_equal(value, theirs_info[key])
        ends += mine[2].sum()


def test_ppo_trains_and_is_evaluated():
    envs = gym.make_vec(
        "safemaze/BreadcrumbHardMaze-v0", num_envs=4, max_steps=30, frame_skip=3, autoreset_mode="SameStep"
    )
    venv = VecMonitor(SB3VecEnv(envs))
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    assert [episode["l"] for episode in model.ep_info_buffer] == [10] * 4
    returns, lengths = evaluate_policy(model, venv, n_eval_episodes=4, return_episode_rewards=True)
    assert lengths == [10] * 4
    assert np.isfinite(returns).all()


def test_statistics_of_gymnasiums_wrapper_arrive_where_an_episode_ends():
    envs = gym.make_vec(
        "safemaze/FirstPersonMaze-v0",
        num_envs=3,
        maze=["######", "#Sxxx#", "######"],
        start_angle=0,
        max_steps=24,
        autoreset_mode="SameStep",
    )
    venv = SB3VecEnv(gym.wrappers.vector.RecordEpisodeStatistics(envs))
    venv.set_options({"position": [(1.5, 1.5), (3.9, 1.5), (1.5, 1.5)]})  # the second is nearly there
    venv.reset()
    lengths = []
    for _ in range(6):
        *_, done, infos = venv.step(np.array([4, 2, 4]))
        assert [("episode" in info) for info in infos] == done.tolist()
        lengths += [
            (lane, infos[lane]["episode"]["l"], infos[lane]["solved"]) for lane in np.flatnonzero(done)
        ]
    assert lengths == [(1, 1, True), (0, 6, False), (2, 6, False)]
    assert infos[0]["steps"] == 24 and "terminal_observation" in infos[0]


def test_statistics_of_wrapped_single_environments_arrive():
    envs = gym.make_vec(
        "safemaze/TopdownMaze-v0",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        wrappers=[gym.wrappers.RecordEpisodeStatistics],
        max_steps=2,
    )
    venv = SB3VecEnv(envs)
    venv.reset()
    assert not any("episode" in info for info in venv.step(np.zeros(2, int))[3])
    assert [info["episode"]["l"] for info in venv.step(np.zeros(2, int))[3]] == [2, 2]


def test_lanes_without_a_value_have_none():
    info = {"a": np.array([1, 2, 3]), "_a": np.array([True, False, True]), "b": {"c": np.array([4, 5, 6])}}
    assert _info_per_lane(info | {"_b": np.array([False, True, True])}, 3) == [
        {"a": 1},
        {"b": {"c": 5}},
        {"a": 3, "b": {"c": 6}},
    ]


def test_other_autoreset_modes_are_refused():
    with pytest.raises(ValueError, match="SameStep"):
        SB3VecEnv(gym.make_vec("safemaze/BreadcrumbHardMaze-v0", num_envs=2))


def test_infos_that_were_taken_apart_before_are_refused():
    envs = gym.make_vec("safemaze/TopdownMaze-v0", 2, autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(
        ValueError, match="whose info is a dict of arrays, got a list: leave out DictInfoToList"
    ):
        SB3VecEnv(DictInfoToList(envs)).reset()


def test_lanes_have_no_attributes_or_methods_of_their_own():
    venv = SB3VecEnv(
        gym.make_vec(
            "safemaze/BreadcrumbHardMaze-v0", num_envs=2, autoreset_mode="SameStep", render_mode="rgb_array"
        )
    )
    venv.reset()
    assert venv.get_attr("render_mode") == ["rgb_array"] * 2
    assert venv.render().ndim == 3
    with pytest.raises(NotImplementedError):
        venv.set_attr("num_envs", 3)
    with pytest.raises(NotImplementedError):
        venv.env_method("reset")
    venv.set_options([{"start": (40, 184)}, {}])
    with pytest.raises(ValueError, match="same reset options"):
        venv.reset()
    venv.set_options({"start": (40, 184)})
    venv.reset()
    assert venv.reset_infos[1]["behavior"][0] == 40
