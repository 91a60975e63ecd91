"""Every registered environment in a process of its own: what it imports, what it writes, what it repeats."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym

import gym_safemaze
from every_environment import IDS, digest, rollout


def run(code: str, *options: str, **environment: str) -> str:
    """Return what a new Python process prints."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), **environment}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA", "XDG"))}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=kept | environment,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout


def test_same_seed_gives_the_same_rollout_in_another_process():
    code = """
import gymnasium as gym
from every_environment import IDS, digest, rollout
print(*[digest(rollout(gym.make(env_id), seed=11)) for env_id in IDS])
"""
    here = [digest(rollout(gym.make(env_id), seed=11)) for env_id in IDS]
    assert run(code, PYTHONHASHSEED="123").split() == here


def test_neither_torch_nor_pygame_is_needed_to_step():
    code = f"""
import sys
sys.modules.update(torch=None, pygame=None, stable_baselines3=None)
import gymnasium as gym, gym_safemaze
for env_id in {IDS}:
    for env in (gym.make(env_id), gym.make_vec(env_id, num_envs=2)):
        env.reset(seed=0)
        env.step(env.action_space.sample())
"""
    run(code, "-W", "error")


def test_everything_works_where_nothing_can_be_written(tmp_path):
    """Neither beside the package nor below HOME: numba then finds no place for its cache.

    That is the same for all kernels, and compiling takes seconds: one environment is enough.
    """
    package = tmp_path / "gym_safemaze"
    shutil.copytree(Path(gym_safemaze.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").write_text("a file in the place of the folder")
    home = tmp_path / "home"
    home.write_text("no folder either")
    code = f"""
import gymnasium as gym, gym_safemaze
assert gym_safemaze.__file__.startswith({str(tmp_path)!r})
env = gym.make("safemaze/TopdownMaze-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
"""
    run(code, PYTHONPATH=str(tmp_path), HOME=str(home), PYTHONDONTWRITEBYTECODE="1")


def test_registering_imports_no_compiler():
    """Numba and the environments' own modules are loaded when one is made."""
    loaded = run("import sys, gym_safemaze; print(*sys.modules)").split()
    assert "gymnasium" in loaded
    assert not {"numba", "pygame", "torch", "gym_safemaze.hard_maze"} & set(loaded)
