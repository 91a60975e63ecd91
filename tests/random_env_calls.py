"""Random calls of every environment, single and vector, with arguments that make sense and some that do not.

    python tests/random_env_calls.py 100000                  # prints what was called, refused, and the memory
    python tests/random_env_calls.py 20 --first 1234 -v      # the life of environment 1234 alone

Whatever is called, in whatever order, either works or raises ValueError, TypeError or ResetNeeded with a
message, and then nothing has changed. Nothing that is returned is NaN or outside its space.
"""

from __future__ import annotations

import argparse
import copy
import os
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from every_environment import IDS

REFUSALS = (ValueError, TypeError, ResetNeeded)
WORDS = (  # one of which is in every message of ours
    "expected", "unknown", "must", "call reset", "reset every lane", "are over", "inside", "outside",
    "closer", "is empty", "no path",
)  # fmt: skip
CALLS = 20  # of each environment

ROOM = ["#####", "#Sxx#", "#..x#", "#####"]
JUNK: list[Any] = [
    None, True, -1, 0, 1, 2, 3, 2**31, 2**63, 2**64, 1.5, -0.0, 1e300, float("nan"), float("inf"), 1j, "",
    "a", "hard", b"x", [], (), {}, set(), [[1], [1, 2]], [[[]]], range(3), object(), len, np.nan, np.zeros(0),
    np.zeros((2, 2)), np.full(2, np.nan), np.array(["a"]), np.array(None), np.float32(0.5), np.int8(1),
    np.datetime64(1, "s"), np.array([1 + 1j, 2]), np.ones(2, bool), np.arange(3)[::-1], {"start": 1}, ROOM,
    Ellipsis,
]  # fmt: skip


def state_of(env: Any) -> dict[str, Any]:
    """All that changes in the lanes of an environment, as values that can be compared."""
    if env is None:
        return {}
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value)
        for name, value in vars(env.lanes).items()
        if name != "_generators"
    }


class Life:
    """An environment and what is done with it.

    Args:
        number: Decides everything.
    """

    def __init__(self, number: int) -> None:
        self.chance = np.random.default_rng([number, 5])
        self.name = str(self.chance.choice(IDS))
        self.lanes = int(self.chance.integers(1, 5)) if self.chance.random() < 0.5 else None
        self.env: Any = None
        self.done = 0
        self.over = True  # so that a reset is called for
        self.said: Counter[str] = Counter()

    def likely(self, probability: float) -> bool:
        """Whether something happens."""
        return bool(self.chance.random() < probability)

    def one_of(self, values: Any) -> Any:
        """A random one."""
        return values[int(self.chance.integers(len(values)))]

    def settings(self) -> dict[str, Any]:
        """Arguments of the environment, mostly good ones."""
        good: dict[str, list[Any]] = {
            "max_steps": [1, 5, 40], "frame_skip": [1, 3, 7], "reward": ["progress", "final"],
            "record_frames": [True, False], "heading": [0, 90, 360.0], "start": [(36, 184), (40.5, 180.0)],
            "length": [1, 4, 9], "order": ["random", "sequential"], "action_mode": ["probabilities"],
            "maze": ["hard", "medium", "figure_5a", ROOM], "rgb": [True, False], "move_speed": [0.1, 0.9],
            "turn_speed": [5, 90.0], "start_angle": [0, -90.0],
            "body_radius": [0.1, 0.4], "texture": [None, np.eye(4) * 255],
            "wall_color": [(255, 0, 9)], "walls": [None], "goal": [(31, 20)],
        }  # fmt: skip
        kind = type(gym.make(self.name, disable_env_checker=True).unwrapped)
        known = {field.name for field in fields(kind)}
        own = [name for name in good if name in known]
        if self.name.endswith(("HardMaze-v0",)):
            good["maze"] = ["hard", "medium"]
        elif "maze" in own:
            good["maze"] = ["figure_5a", ROOM]
        chosen = {name: self.one_of(good[name]) for name in own if self.likely(0.25)}
        if own and self.likely(0.2):
            chosen[self.one_of(own)] = self.one_of(JUNK)
        modes = [None, "rgb_array", "rgb_array", self.one_of(JUNK)]
        if self.likely(0.3):
            chosen["render_mode"] = self.one_of(modes)
        if self.lanes is not None and self.likely(0.5):
            chosen["autoreset_mode"] = self.one_of([*AutoresetMode, "SameStep", self.one_of(JUNK)])
        return chosen

    def make(self) -> Any:
        """The environment, or None if it was refused."""
        settings = self.settings()
        if self.lanes is None:
            kind = type(gym.make(self.name, disable_env_checker=True).unwrapped)
        else:
            kind = type(gym.make_vec(self.name, num_envs=1).unwrapped)
            settings["num_envs"] = self.one_of(JUNK) if self.likely(0.05) else self.lanes
            if isinstance(settings["num_envs"], int) and settings["num_envs"] > 4:
                settings["num_envs"] = 4
        return self.attempt("make", kind, **settings)

    def attempt(self, what: str, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call something; None if it was refused.

        Raises:
            AssertionError: If a refusal has no message, or has changed something.
        """
        self.done += 1
        before = state_of(self.env)
        try:
            result = call(*arguments, **keywords)
        except REFUSALS as refusal:
            assert any(word in str(refusal) for word in WORDS), f"{what}: {refusal!r}"
            assert state_of(self.env) == before, f"{what}: {refusal!r} changed the environment"
            self.over = isinstance(refusal, ResetNeeded)
            self.said[f"{what} refused"] += 1
            self.said[f"  {what}: {' '.join(str(refusal).split()[:6])}"] += 1
            return None
        self.said[what] += 1
        self.over = False
        return result

    def seed(self) -> Any:
        """Of a reset."""
        lists = [[1] * (self.lanes or 1), np.arange(self.lanes or 1)]
        return self.one_of(JUNK) if self.likely(0.2) else self.one_of([None, None, 3, np.int64(5), *lists])

    def options(self) -> Any:
        """Of a reset."""
        if self.likely(0.6):
            return None
        if self.likely(0.2):
            return self.one_of(JUNK)
        known = (*self.env.lanes.reset_options, "reset_mask", "elsewhere")
        some: list[Any] = [
            (1, 1), (1, 2), (1.5, 1.5), (36, 184), 0, 90, 360.0, 7, [1, 0, 1, 1], ROOM, "figure_5a",
            self.chance.random(self.lanes or 1) < 0.5, *JUNK,
        ]  # fmt: skip
        return {name: self.one_of(some) for name in known if self.likely(0.3)}

    def action(self) -> Any:
        """For a step."""
        if self.likely(0.15):
            return self.one_of(JUNK)
        action = self.env.action_space.sample()
        if self.likely(0.1) and np.asarray(action).dtype.kind == "f":
            return action * self.one_of([1e30, -5.0, np.inf])
        return action.tolist() if self.likely(0.1) else action

    def look(self, observations: Any, info: dict[str, Any]) -> None:
        """Check what came of a reset or a step."""
        assert self.env.observation_space.contains(observations), observations
        self.no_nan(info)

    def no_nan(self, values: Any) -> None:
        """Check everything that is in an info."""
        for value in values.values() if isinstance(values, dict) else values:
            if isinstance(value, dict):
                self.no_nan(value)
            elif np.asarray(value).dtype == object:
                self.no_nan([one for one in np.asarray(value).flat if one is not None])
            else:
                assert not np.isnan(np.asarray(value, dtype=np.float64)).any(), values

    def call(self) -> None:
        """Do one thing."""
        deed = self.one_of(
            ["reset"] * 4 + ["step"] * 20 + ["render", "close", "pickle", "copy", "look", "steps"]
        )
        if self.over and self.likely(0.7):
            deed = "reset"
        env = self.env
        if deed == "reset":
            if result := self.attempt("reset", env.reset, seed=self.seed(), options=self.options()):
                self.look(*result)
        elif deed == "step":
            self.step(self.action())
        elif deed == "steps":
            for _ in range(int(self.chance.integers(20))):
                self.step(env.action_space.sample())
        elif deed == "render":
            picture = self.attempt("render", env.render)
            assert picture is None or np.asarray(picture).dtype == np.uint8
        elif deed == "close":
            self.attempt("close", env.close)
        elif deed == "pickle":
            self.env = self.attempt("pickle", lambda: pickle.loads(pickle.dumps(env)))
        elif deed == "copy":
            self.env = self.attempt("copy", copy.deepcopy, env)
        else:
            self.attempt("look", lambda: (repr(env), env.np_random, env.np_random_seed, str(env.metadata)))

    def step(self, action: Any) -> None:
        """Take a step, here and now and then in a copy, too."""
        twin = copy.deepcopy(self.env) if self.likely(0.05) else None
        if result := self.attempt("step", self.env.step, action):
            observations, rewards, terminated, truncated, info = result
            self.look(observations, info)
            assert np.isfinite(rewards).all()
            assert np.asarray(terminated).dtype == bool == np.asarray(truncated).dtype
            if twin is not None:
                again = twin.step(action)
                np.testing.assert_array_equal(again[0], observations)
                np.testing.assert_array_equal(again[1], rewards)

    def live(self, calls: int = CALLS) -> None:
        """Make the environment and use it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.env = self.make()
            for _ in range(calls if self.env is not None else 0):
                self.call()


def resident() -> float:
    """Memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("calls", type=int, help="how many at least")
    parser.add_argument("--first", type=int, default=0, help="number of the first environment")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each kind of refusal")
    arguments = parser.parse_args()
    gym.logger.min_level = gym.logger.ERROR
    counts: Counter[str] = Counter()
    done, failed, number, memory = 0, [], arguments.first, []
    while done < arguments.calls:
        life = Life(number)
        try:
            life.live()
        except Exception as error:
            failed.append(number)
            said = f"{type(error).__name__}: {error}"[:300]
            print(f"environment {number}, {life.name}, {life.lanes} lanes: {said}")
            if len(failed) == 10:
                break
        if (done + life.done) * 10 // arguments.calls > done * 10 // arguments.calls:
            memory.append(resident())
        done, number = done + life.done, number + 1
        counts += life.said
    for name in sorted(counts):
        if arguments.verbose or not name.startswith(" "):
            print(f"{counts[name]:8,}  {name}")
    print(f"{done:,} calls, {number - arguments.first:,} environments, {len(failed)} failed: {failed}")
    print("resident MB after each tenth:", *(f"{value:.0f}" for value in memory))


if __name__ == "__main__":
    main()
