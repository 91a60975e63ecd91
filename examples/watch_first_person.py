"""Watch a scripted driver walk the path of the first-person maze: what it sees, beside where it is.

    python examples/watch_first_person.py first_person.gif
    python examples/watch_first_person.py first_person.gif --maze loops --bricks

The driver knows the map; an evolved network would have only the picture on the left.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gym_safemaze.first_person_maze import FirstPersonMazeEnv
from gym_safemaze.walker import FORWARD, LEFT, RIGHT

BRICKS: dict[str, Any] = {
    "rgb": True,
    "texture": ([[90] * 16] + [[90] + [255] * 15] * 3 + [[90] * 16] + [[255] * 8 + [90] + [255] * 7] * 3) * 2,
    "wall_color": (215, 130, 100),
    "floor_color": (96, 90, 80),
    "ceiling_color": (40, 44, 60),
}


class PathDriver:
    """Turns towards the next square of the path, then walks, until the path is done.

    Args:
        path: rows and columns (K, 2) of the squares to walk through.
        turn: degrees turned by one action.
    """

    def __init__(self, path: np.ndarray, turn: float) -> None:
        self.places = path[:, ::-1] + 0.5  # x, y of the middles
        self.turn = turn
        self.next = 0

    def __call__(self, x: float, y: float, heading: float) -> int:
        """Return the action for a walker at (x, y) looking along `heading`, in degrees."""
        while self.next < len(self.places) - 1 and math.dist((x, y), self.places[self.next]) < 0.3:
            self.next += 1
        to_x, to_y = self.places[self.next] - (x, y)
        off = (math.degrees(math.atan2(to_y, to_x)) - heading + 180.0) % 360.0 - 180.0
        if abs(off) <= self.turn / 2:
            return FORWARD
        return RIGHT if off > 0 else LEFT


def drive(env: FirstPersonMazeEnv) -> Iterator[dict[str, Any]]:
    """Drive one episode; give the environment's info after its reset and after every step."""
    _, info = env.reset()
    yield info
    driver, over = PathDriver(env.lanes.maze.path, turn=env.lanes.turn_speed * env.lanes.frame_skip), False
    while not over:
        x, y = info["behavior"].tolist()
        _, _, over, _, info = env.step(driver(x, y, info["heading"]))
        yield info


def main() -> None:
    """Drive, say how it went, and save the animation."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", default=Path("first_person.gif"), help="GIF to write")
    parser.add_argument("--maze", default="figure_5a", help="bundled maze or text file")
    parser.add_argument("--bricks", action="store_true", help="colors and a brick texture")
    arguments = parser.parse_args()
    scenery = BRICKS if arguments.bricks else {}
    try:
        env = FirstPersonMazeEnv(arguments.maze, render_mode="rgb_array", **scenery)
        frames = []
        for info in drive(env):  # noqa: B007  (the last one is reported below)
            frames.append(Image.fromarray(np.asarray(env.render())).quantize(96))
        frames[0].save(
            arguments.output, save_all=True, append_images=frames[1:], duration=120, loop=0, optimize=True
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    outcome = "solved" if info["solved"] else "not solved"
    print(f"{outcome} after {info['steps']} frames, fitness {info['fitness']:.2f}; see {arguments.output}")


if __name__ == "__main__":
    main()
