"""The environments as the tests see them: their names, what they return, and whether that is the same."""

import hashlib
import pickle

import gymnasium as gym
import numpy as np

import gym_safemaze  # noqa: F401

#: Every environment of the package; one that is registered is tested.
IDS = sorted(name for name in gym.registry if name.startswith("safemaze/"))


def rollout(env: gym.Env, seed: int, steps: int = 60) -> list:
    """Everything an environment returns under random actions, over the ends of episodes."""
    env.action_space.seed(seed)
    seen: list[tuple] = [env.reset(seed=seed)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    return seen


def digest(values) -> str:
    return hashlib.sha256(pickle.dumps(values, protocol=4)).hexdigest()


def assert_same(ours, theirs, where="") -> None:
    """Compare observations, infos and whatever they contain, bit for bit."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), where
        for key, value in theirs.items():
            assert_same(ours[key], value, f"{where}[{key!r}]")
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        for number, value in enumerate(theirs):
            assert_same(ours[number], value, f"{where}[{number}]")
    else:
        np.testing.assert_array_equal(ours, theirs, err_msg=where)
        assert np.asarray(ours).dtype.kind == np.asarray(theirs).dtype.kind, where
