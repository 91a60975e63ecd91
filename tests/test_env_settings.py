"""Settings are written once per domain and are arguments of both environment classes, documented in both."""

import importlib
import inspect

import gymnasium as gym
import numpy as np
import pytest

from every_environment import IDS
from gym_safemaze.lane_vector_env import LaneVectorEnv
from gym_safemaze.lanes import LaneEnv

OF_VECTORS = {"num_envs", "autoreset_mode", "max_episode_steps"}
OWN = {LaneEnv: {"render_mode"}, LaneVectorEnv: OF_VECTORS | {"render_mode"}}


def classes(env_id):
    spec = gym.spec(env_id)
    for entry_point in (spec.entry_point, spec.vector_entry_point):
        module, name = entry_point.split(":")
        yield getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("env_id", IDS)
def test_both_constructors_take_the_same_settings(env_id):
    single, vector = (inspect.signature(made).parameters for made in classes(env_id))
    for name in single.keys() - OWN[LaneEnv]:
        assert vector[name] == single[name]
    assert vector.keys() - single.keys() == OF_VECTORS
    assert next(iter(vector)) == "num_envs"
    for parameters in (single, vector):
        positional = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
        assert set(positional) <= {"num_envs", "maze", "length"}


@pytest.mark.parametrize("env_id", IDS)
def test_help_documents_each_argument_once(env_id):
    for made in classes(env_id):
        lines = inspect.getdoc(made).splitlines()
        documented = [line.split(":")[0].strip() for line in lines if line[:4] == "    " and line[4] != " "]
        arguments = [name for name in documented if name != "ValueError"]
        assert sorted(arguments) == sorted(inspect.signature(made).parameters)
        assert lines.count("Args:") == lines.count("Raises:") == 1


@pytest.mark.parametrize("env_id", IDS)
def test_settings_can_be_read_and_environments_compared_and_hashed(env_id):
    for made in classes(env_id):
        env = made()
        for name, parameter in inspect.signature(made).parameters.items():
            assert getattr(env, name) == parameter.default
        assert env == env and env != made()
        assert len({env, made()}) == 2


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_only_what_is_returned_is_observed(env_id, mode):
    """Each lane once a step, and once more the lanes that SameStep starts again."""
    envs = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode)
    observe, counts = envs.lanes.observe, []

    def counted(lanes):
        counts.append(len(observe(lanes)))
        return observe(lanes)

    envs.lanes.observe = counted
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    envs.reset(options={"reset_mask": np.array([False, True, False])})  # lanes fall out of step
    ends = 0
    while ends < 5:
        counts.clear()
        over = envs.step(envs.action_space.sample())[2]
        assert sum(counts) == 3 + (over.sum() if mode == "SameStep" else 0)
        ends += over.sum()
