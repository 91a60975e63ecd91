"""Play an environment with the keyboard: `python -m gym_safemaze.play FirstPersonMaze`.

Escape or closing the window ends the game, R starts the episode again. Each episode's fitness is printed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

import gym_safemaze  # noqa: F401  (registers the environments)
from gym_safemaze.checks import check_seed
from gym_safemaze.window import import_pygame


@dataclass(frozen=True)
class Controls:
    """How keys become actions.

    Args:
        help: the keys, in words.
        actions: the action of each key, keys named as pygame names them.
        idle: the action while no key is down; None lets the game wait for a key, like a board game.
    """

    help: str
    actions: dict[str, Any]
    idle: Any = None

    def action(self, keys: Sequence[str]) -> Any:
        """Return the action of the keys that are down, or None if there is nothing to do yet.

        The actions of several keys add up where they can (a robot turns and drives), else the last counts.
        """
        known = [self.actions[key] for key in keys if key in self.actions]
        if isinstance(self.idle, tuple):
            wishes = np.sum([np.subtract(action, self.idle) for action in known], axis=0) if known else 0.0
            return np.asarray(self.idle, dtype=np.float32) + np.float32(wishes)
        return known[-1] if known else self.idle


CONTROLS = {
    "BreadcrumbHardMaze": Controls(
        "arrow keys: up and down drive, left and right turn",
        {"up": (0.5, 1.0), "down": (0.5, 0.0), "left": (0.0, 0.5), "right": (1.0, 0.5)},
        idle=(0.5, 0.5),
    ),
    "TopdownMaze": Controls(
        "arrow keys: one square north, south, west or east; space: stay",
        {"up": 0, "down": 1, "left": 2, "right": 3, "space": 4},
    ),
    "FirstPersonMaze": Controls(
        "arrow keys: left and right turn, up and down walk",
        {"left": 0, "right": 1, "up": 2, "down": 3},
        idle=4,
    ),
    "RecurrentParity": Controls("0: the ones so far are even; 1: they are odd", {"0": 0, "1": 1}),
}


def play(env: gym.Env, controls: Controls, seed: int | None = None) -> None:
    """Let a person act in an environment made with render_mode="human" until the window is closed."""
    pygame = import_pygame()
    env.reset(seed=seed)
    down: list[str] = []
    while True:
        pressed: list[str] = []
        tapped: list[str] = []  # pressed and let go within a frame, in which they count
        events = pygame.event.get() if controls.idle is not None else [pygame.event.wait()]
        for event in events:
            key = pygame.key.name(event.key) if event.type in (pygame.KEYDOWN, pygame.KEYUP) else ""
            if event.type == pygame.QUIT or key == "escape":
                return
            if event.type == pygame.KEYDOWN and key == "r":
                env.reset()
            elif event.type == pygame.KEYDOWN:
                down.append(key)
                pressed.append(key)
            elif event.type == pygame.KEYUP and key in pressed:
                tapped.append(key)
            elif event.type == pygame.KEYUP and key in down:
                down.remove(key)
        action = controls.action(down)
        for key in tapped:
            down.remove(key)
        if action is None:
            continue
        if controls.idle is None:
            down.clear()  # one step for each press
        *_, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            print(f"fitness {info['fitness']:g}, {'solved' if info['solved'] else 'not solved'}")
            env.reset()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m gym_safemaze.play", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(CONTROLS), help="environment")
    parser.add_argument("--maze", help="bundled maze or maze file, for environments that have mazes")
    parser.add_argument("--seed", type=int, help="seed of the first episode")
    options = parser.parse_args(arguments)
    controls = CONTROLS[options.name]
    try:
        check_seed(options.seed)
        kwargs = {} if options.maze is None else {"maze": options.maze}
        env = gym.make(f"safemaze/{options.name}-v0", render_mode="human", **kwargs)
    except (ValueError, TypeError, gym.error.Error) as error:
        parser.error(str(error))
    print(f"{options.name}: {controls.help}; R: again; Escape: end")
    try:
        play(env, controls, options.seed)
    except gym.error.DependencyNotInstalled as error:
        parser.error(str(error))
    finally:
        env.close()


if __name__ == "__main__":
    main()
