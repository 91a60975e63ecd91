"""Step every environment of an installed gym_safemaze where there is no torch and no pygame."""

import importlib.util

import gymnasium as gym

import gym_safemaze

for absent in ("torch", "pygame", "safe_mutation"):
    if importlib.util.find_spec(absent):
        raise SystemExit(f"expected an environment without {absent}")
names = sorted(name for name in gym.registry if name.startswith("safemaze/"))
if "safemaze/BreadcrumbHardMaze-v0" not in names:
    raise SystemExit(f"expected the hard maze among the registered environments, got {names}")
for name in names:
    env = gym.make(name)
    env.reset(seed=1)
    env.step(env.action_space.sample())
    lanes = gym.make_vec(name, num_envs=3)
    lanes.reset(seed=1)
    lanes.step(lanes.action_space.sample())
print(f"gym_safemaze {gym_safemaze.__version__} alone steps {', '.join(names)}")
