"""What every environment of the package owes Gymnasium and its users.

A new environment is tested by being registered.
"""

import copy
import inspect
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from every_environment import IDS, assert_same, digest, rollout

MODES = [mode.value for mode in AutoresetMode]

pytestmark = pytest.mark.parametrize("env_id", IDS)


def where_marked(info: dict) -> dict:
    """Blank what a vector environment's masks say nothing about."""
    marked = {}
    for key, values in info.items():
        if isinstance(values, dict):
            marked[key] = where_marked(values)
        elif key.startswith("_") or values.dtype == object:
            marked[key] = values
        else:
            mask = info[f"_{key}"].reshape(-1, *[1] * (values.ndim - 1))
            marked[key] = np.where(mask, values, np.zeros_like(values))
    return marked


def test_gymnasium_check_env_has_nothing_to_say(env_id):
    check_env(gym.make(env_id).unwrapped)


def test_stable_baselines3_check_env_has_nothing_new_to_say(env_id):
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        # The paper's actions are sigmoid outputs in [0, 1]. SB3 accepts them and recommends [-1, 1].
        warnings.filterwarnings("ignore", message=".*symmetric and normalized Box action space.*")
        sb3_check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("limit", [{}, {"max_episode_steps": 3}])
@pytest.mark.parametrize("mode", MODES)
def test_vector_lanes_equal_single_environments(env_id, mode, limit):
    short = (
        {"max_steps": 9}
        if "max_steps" in inspect.signature(type(gym.make(env_id).unwrapped)).parameters
        else {}
    ) | limit
    native = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, **short)
    single = gym.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
        **short,
    )
    assert native.metadata["autoreset_mode"] == single.metadata["autoreset_mode"]
    for name in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(native, name) == getattr(single, name)
    ours, theirs = native.reset(seed=7), single.reset(seed=7)
    assert_same(ours[0], theirs[0])
    native.action_space.seed(1)
    ends = 0
    for step in range(60):
        if step == 23:  # lanes fall out of step
            mask = np.array([False, True, False])
            ours = native.reset(seed=3, options={"reset_mask": mask})
            theirs = single.reset(seed=3, options={"reset_mask": mask})
            assert_same(ours[0], theirs[0])
            assert_same(where_marked(ours[1]), where_marked(theirs[1]))
        actions = native.action_space.sample()
        ours, theirs = native.step(actions), single.step(actions)
        for name, mine, other in zip(("observations", "rewards", "ends", "cuts"), ours, theirs, strict=False):
            assert_same(mine, other, f"{name} of step {step}")
        assert_same(where_marked(ours[4]), where_marked(theirs[4]), f"info of step {step}")
        over = ours[2] | ours[3]
        ends += over.sum()
        if mode == "Disabled" and over.any():
            ours = native.reset(options={"reset_mask": over})
            theirs = single.reset(options={"reset_mask": over})
            assert_same(ours[0], theirs[0])
    assert ends >= 3
    assert native.np_random_seed == single.np_random_seed


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_gymnasiums_vector_wrappers_work(env_id, mode):
    native = gym.make_vec(env_id, num_envs=2, autoreset_mode=mode)
    single = gym.make_vec(
        env_id, num_envs=2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode(mode)}
    )
    wrapped = [gym.wrappers.vector.RecordEpisodeStatistics(envs) for envs in (native, single)]
    for envs in wrapped:
        envs.reset(seed=0)
    native.action_space.seed(0)
    lengths: list[list[int]] = []
    while not lengths:
        actions = native.action_space.sample()
        results = [envs.step(actions)[4] for envs in wrapped]
        lengths = [info["episode"]["l"].tolist() for info in results if "episode" in info]
        rewards = [info["episode"]["r"].tolist() for info in results if "episode" in info]
    assert lengths[0] == lengths[1]
    assert rewards[0] == rewards[1]


def test_info_always_has_the_same_keys(env_id):
    env = gym.make(env_id)
    seen = rollout(env, seed=0)
    assert len({tuple(result[-1]) for result in seen}) == 1
    assert {"fitness", "solved", "behavior"} <= set(seen[0][-1])


def test_progress_adds_up_to_fitness(env_id):
    env = gym.make(env_id)
    env.action_space.seed(5)
    _, info = env.reset(seed=5)
    first, total, over = info["fitness"], 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        total, over = total + reward, terminated or truncated
    assert total == pytest.approx(info["fitness"] - first)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_made_in_mid_episode_goes_on_alike(env_id, copied):
    env = gym.make(env_id, render_mode="human").unwrapped
    env.reset(seed=2)
    env.action_space.seed(2)
    actions = [env.action_space.sample() for _ in range(3)]
    env.step(actions[0])
    twin = copied(env)
    for action in actions[1:]:
        assert_same(env.step(action)[4], twin.step(action)[4])
    env.close()
    twin.close()


def test_a_vector_copy_made_in_mid_episode_goes_on_alike(env_id):
    envs = gym.make_vec(env_id, num_envs=2)
    envs.reset(seed=4)
    envs.action_space.seed(4)
    envs.step(envs.action_space.sample())
    twins = pickle.loads(pickle.dumps(envs))
    for _ in range(60):
        actions = envs.action_space.sample()
        ours, theirs = envs.step(actions), twins.step(actions)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)


def test_the_limit_of_a_spec_truncates_lanes(env_id):
    spec = gym.make(env_id, max_episode_steps=2).spec
    envs = gym.make_vec(spec, num_envs=2)
    envs.reset(seed=0)
    cuts = [envs.step(envs.action_space.sample())[3].tolist() for _ in range(5)]
    assert cuts == [[False] * 2, [True] * 2, [False] * 2, [False] * 2, [True] * 2]
    with pytest.raises(ValueError, match="max_episode_steps to be an integer of at least 1, got 0"):
        gym.make_vec(env_id, num_envs=2, max_episode_steps=0)


def test_nothing_is_drawn_before_an_episode(env_id):
    envs = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array")
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    for one in (envs, env):
        with pytest.raises(ResetNeeded, match="no episode was started"):
            one.render()


def test_spec_survives_json(env_id):
    env = gym.make(env_id, render_mode="rgb_array")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert digest(rollout(again, seed=1)) == digest(rollout(env, seed=1))
    envs = gym.make_vec(env_id, num_envs=2)
    assert gym.make_vec(envs.spec).num_envs == 2


def test_make_with_the_module_prefix(env_id):
    assert gym.make(f"gym_safemaze:{env_id}").spec.id == env_id


def test_pictures_are_readable_and_show_the_episode_and_nothing_else(env_id):
    env = gym.make(env_id, render_mode="rgb_array")
    envs = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array", autoreset_mode="Disabled")
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(4)]

    def drawn() -> list[np.ndarray]:
        env.reset(seed=1)
        seen = [env.render()]
        for action in actions:
            env.step(action)
            seen += [env.render(), env.render()]
        return [seen[0], *seen[2::2]] if np.array_equal(seen[1::2], seen[2::2]) else []

    once = drawn()
    assert once, "drawing twice gives the same picture"
    np.testing.assert_array_equal(drawn(), once)  # and leaves no trace in the next episode
    first = once[0]
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    assert max(first.shape[:2]) >= 200
    assert len({picture.tobytes() for picture in once}) >= 3
    envs.reset(seed=0)
    for picture, action in zip(once, [*actions, None], strict=True):
        np.testing.assert_array_equal(envs.render()[1], picture)
        if action is not None:
            envs.step(np.stack([action, action]))
    env.close()
    env.close()


def test_bad_arguments_are_refused_by_name(env_id):
    with pytest.raises(ValueError, match="render_mode"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gym.make warns about the mode before the environment refuses it
        gym.make(env_id, render_mode="ascii_art")
    with pytest.raises(ValueError, match="render_mode"):
        gym.make_vec(env_id, num_envs=2, render_mode="human")
    with pytest.raises(ValueError, match="autoreset_mode"):
        gym.make_vec(env_id, num_envs=2, autoreset_mode="Sometimes")
    with pytest.raises(ValueError, match="num_envs"):
        gym.make_vec(env_id, num_envs=0)


def test_unknown_reset_options_are_refused_and_change_nothing(env_id):
    envs = gym.make_vec(env_id, num_envs=2)
    _, before = envs.reset(seed=0)
    options = {"colour": "red"}
    with pytest.raises(ValueError, match="colour"):
        envs.reset(seed=9, options=options)
    with pytest.raises(ValueError, match="colour"):
        gym.make(env_id).reset(options=options)
    assert options == {"colour": "red"}
    for mask in (np.array([1, 0]), np.array([True]), np.array([False, False]), [True, False]):
        with pytest.raises(ValueError, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    assert_same(envs.lanes.info(), {key: value for key, value in before.items() if not key.startswith("_")})


def test_lanes_take_one_seed_each(env_id):
    envs = gym.make_vec(env_id, num_envs=3)
    envs.reset(seed=[5, None, np.int64(9)])
    assert envs.np_random_seed[::2] == (5, 9)
    for seeds in ([1, 2], [1, 2, -3], [1, 2, 0.5], -1):
        with pytest.raises(ValueError, match="seed"):
            envs.reset(seed=seeds)
    assert envs.np_random_seed[::2] == (5, 9)


def test_bad_actions_are_refused_and_move_nothing(env_id):
    envs = gym.make_vec(env_id, num_envs=2)
    envs.reset(seed=0)
    before = envs.lanes.info()
    good = envs.action_space.sample()
    bad = [good[:1], np.concatenate([good, good])]
    if isinstance(envs.single_action_space, gym.spaces.Discrete):
        bad += [good * 0 + [0, envs.single_action_space.n], good * 0 - [0, 1], good + 0.5]
    else:
        bad += [np.where(np.arange(good.size).reshape(good.shape) == good.size - 1, np.nan, good)]
    for actions in bad:
        with pytest.raises(ValueError, match="expected"):
            envs.step(actions)
    assert_same(envs.lanes.info(), before)


def test_steps_outside_an_episode_are_refused(env_id):
    env = gym.make(env_id).unwrapped
    action = env.action_space.sample()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(action)
    env.reset(seed=0)
    while not any(env.step(action)[2:4]):
        pass
    with pytest.raises(gym.error.ResetNeeded):
        env.step(action)
    envs = gym.make_vec(env_id, num_envs=2, autoreset_mode="Disabled")
    actions = envs.action_space.sample()
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(actions)
    envs.reset(seed=0)
    while not any(np.any(ends) for ends in envs.step(actions)[2:4]):
        pass
    with pytest.raises(gym.error.ResetNeeded, match="lanes"):
        envs.step(actions)
