"""Steps per second of our environments and of their peers, on one core.

    python benchmarks/environments.py                    # everything; a few minutes
    python benchmarks/environments.py --only HardMaze    # contestants with this in their name

All contestants take turns, round after round, in an order that is reversed every other round; each figure is
the median over rounds of steps per second of processor time. Peers that are not installed are named and left
out. Results go to a CSV file beside this one, with the command, versions and processor in its first lines.
"""

import argparse
import csv
import importlib.metadata
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if hasattr(os, "sched_setaffinity"):  # before any library starts its threads
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import gymnasium as gym
from measuring import processor

import gym_safemaze

OURS = ("BreadcrumbHardMaze", "TopdownMaze", "FirstPersonMaze", "RecurrentParity")
LANES = (1, 16, 256, 1024)
SYNC_LANES = (1, 16, 256)
KHEPERAX_LANES = (64, 256, 1024)
PACKAGES = (
    "gym-safemaze",
    "gymnasium",
    "numpy",
    "numba",
    "gymnasium-hardmaze",
    "minigrid",
    "kheperax",
    "jax",
)


@dataclass
class Contestant:
    """Something that takes steps.

    Args:
        name: what it is.
        lanes: environments it advances at once.
        play: makes the given number of calls.
        steps: steps that one call takes in every lane.
    """

    name: str
    lanes: int
    play: Callable[[int], None]
    steps: int = 1
    rates: list[float] = field(default_factory=list)
    chunk: int = 1

    def warm_up(self, seconds: float) -> None:
        """Compile, start an episode, and find how many calls fill `seconds`."""
        self.play(2)
        spent = 0.0
        while spent < seconds / 4:
            self.chunk *= 2
            spent = self._time(self.chunk)
        self.chunk = max(1, round(self.chunk * seconds / spent))

    def measure(self) -> None:
        """Add one figure: steps per second of processor time."""
        self.rates.append(self.chunk * self.steps * self.lanes / self._time(self.chunk))

    def _time(self, calls: int) -> float:
        begin = time.process_time()
        self.play(calls)
        return max(time.process_time() - begin, 1e-9)


def single(name: str, env: gym.Env) -> Contestant:
    """Take random steps in one environment, starting it again when an episode is over."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(512)]
    env.reset(seed=0)

    def play(steps: int) -> None:
        for number in range(steps):
            _, _, terminated, truncated, _ = env.step(actions[number % 512])
            if terminated or truncated:
                env.reset()

    return Contestant(name, 1, play)


def batch(name: str, envs: gym.vector.VectorEnv) -> Contestant:
    """Take random steps in a vector environment, which starts episodes again by itself."""
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(64)]
    envs.reset(seed=0)

    def play(steps: int) -> None:
        for number in range(steps):
            envs.step(actions[number % 64])

    return Contestant(name, envs.num_envs, play)


def ours() -> Iterator[Contestant]:
    """Our environments: one, in a native vector environment, and in Gymnasium's SyncVectorEnv."""
    for domain in OURS:
        name = f"safemaze/{domain}-v0"
        yield single(f"{domain} Env", gym.make(name).unwrapped)
        for lanes in LANES:
            yield batch(f"{domain} VectorEnv", gym.make_vec(name, num_envs=lanes))
        for lanes in SYNC_LANES:
            envs = gym.make_vec(name, num_envs=lanes, vectorization_mode="sync")
            yield batch(f"{domain} in SyncVectorEnv", envs)


def cartpole() -> Iterator[Contestant]:
    """Gymnasium's own native vector environment."""
    for lanes in LANES:
        envs = gym.make_vec("CartPole-v1", num_envs=lanes, vectorization_mode="vector_entry_point")
        yield batch("peer: Gymnasium CartPole VectorEnv", envs)


def gymnasium_hardmaze() -> Iterator[Contestant]:
    """The same maze family in pure Python."""
    import gymnasium_hardmaze  # noqa: F401

    yield single("peer: gymnasium-hardmaze Env", gym.make("HardMaze-v0").unwrapped)


def minigrid() -> Iterator[Contestant]:
    """Partial views as pictures, 56 x 56 x 3."""
    import minigrid.wrappers as wrappers

    env = wrappers.RGBImgPartialObsWrapper(gym.make("MiniGrid-FourRooms-v0").unwrapped)
    yield single("peer: minigrid FourRooms RGB partial view", wrappers.ImgObsWrapper(env))


def kheperax() -> Iterator[Contestant]:
    """A JAX maze robot (3 lasers, 2 bumpers), whole rollouts compiled into one call."""
    import jax

    # kheperax 0.2.0 calls these by names that jax has removed since
    jax.tree_leaves, jax.tree_map = jax.tree_util.tree_leaves, jax.tree_util.tree_map
    from kheperax.tasks.config import KheperaxConfig
    from kheperax.tasks.main import KheperaxTask

    env = KheperaxTask(KheperaxConfig.get_default())
    length = 100

    @jax.jit
    def rollout(keys: Any, actions: Any) -> Any:
        def step(state: Any, action: Any) -> Any:
            state = jax.vmap(env.step)(state, action)
            return state, (state.obs, state.reward)

        return jax.lax.scan(step, jax.vmap(env.reset)(keys), actions)[1]

    for lanes in KHEPERAX_LANES:
        keys = jax.random.split(jax.random.PRNGKey(0), lanes)
        actions = jax.random.uniform(jax.random.PRNGKey(1), (length, lanes, 2), minval=-1.0)

        def play(calls: int, keys: Any = keys, actions: Any = actions) -> None:
            for _ in range(calls):
                jax.block_until_ready(rollout(keys, actions))

        yield Contestant("peer: kheperax, rollouts in one call", lanes, play, steps=length)


def contestants(only: str) -> list[Contestant]:
    """Make the contestants whose name contains `only`; peers that are not installed are reported."""
    found: list[Contestant] = []
    for make in (ours, cartpole, gymnasium_hardmaze, minigrid, kheperax):
        try:
            found += make()
        except ImportError as error:
            print(f"left out: {make.__name__} ({error})", file=sys.stderr)
    return [contestant for contestant in found if only in contestant.name]


def versions() -> str:
    """Return the versions of everything measured."""
    known = [f"gym-safemaze {gym_safemaze.__version__}"]
    for package in PACKAGES:
        try:
            known.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            known.append(f"{package} missing")
    return ", ".join([f"Python {platform.python_version()}", *known])


def write(path: Path, measured: list[Contestant]) -> None:
    """Write the figures as CSV below three comment lines."""
    with path.open("w", newline="") as file:
        command = " ".join(["python", "benchmarks/environments.py", *sys.argv[1:]])
        file.write(f"# {command}\n# {versions()}\n# one core of {processor()}, {platform.system()}\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "lanes", "steps_per_second", "lowest", "highest"])
        for contestant in measured:
            rates = contestant.rates
            table.writerow(
                [contestant.name, contestant.lanes, *(round(f(rates)) for f in (statistics.median, min, max))]
            )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant (default 7)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a turn (default 0.25)")
    parser.add_argument("--only", default="", help="measure contestants whose name contains this")
    parser.add_argument(
        "--output", type=Path, help="CSV file (default: environments.csv beside this, without --only)"
    )
    options = parser.parse_args()
    measured = contestants(options.only)
    if not measured:
        known = ", ".join(dict.fromkeys(contestant.name for contestant in contestants("")))
        parser.error(f"argument --only: expected a part of one of {known}, got {options.only!r}")
    for contestant in measured:
        contestant.warm_up(options.seconds)
    for number in range(options.rounds):
        for contestant in measured[:: -1 if number % 2 else 1]:
            contestant.measure()
    for contestant in measured:
        print(
            f"{contestant.name:45} {contestant.lanes:7} {statistics.median(contestant.rates):14,.0f} steps/s"
        )
    output = options.output or (None if options.only else Path(__file__).with_name("environments.csv"))
    if output:
        write(output, measured)


if __name__ == "__main__":
    main()
