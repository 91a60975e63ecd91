"""Mazes made of straight walls, and how far it is to walk from each of their places to the goal."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Paths keep this far from walls. Walls so thickened give the distances published with the paper to within 6
#: units.
CLEARANCE = 2.0


@dataclass(frozen=True)
class WallMaze:
    """Walls, a start and a goal, in units of length with y growing downwards.

    Args:
        walls: segments (W, 4), each x0 y0 x1 y1. Together they must enclose the start; coordinates are not
            negative.
        start: where the robot starts, (x, y).
        goal: where it should go, (x, y).
        heading: where the robot looks at the start, in degrees from the x axis towards the y axis.

    Raises:
        ValueError: naming what is wrong, for values that make no closed maze.
    """

    walls: tuple[tuple[float, float, float, float], ...]
    start: tuple[float, float]
    goal: tuple[float, float]
    heading: float = 0.0

    def __post_init__(self) -> None:
        walls = _numbers("walls", self.walls, "(W, 4), one x0 y0 x1 y1 per wall")
        if walls.ndim != 2 or walls.shape[1] != 4 or len(walls) == 0:
            raise ValueError(f"expected walls of shape (W, 4), one x0 y0 x1 y1 per wall, got {walls.shape}")
        for number, (x0, y0, x1, y1) in enumerate(walls.tolist()):
            if min(x0, y0, x1, y1) < 0:
                raise ValueError(
                    f"expected wall coordinates of at least 0, got {(x0, y0, x1, y1)} in wall {number}"
                )
            if (x0, y0) == (x1, y1):
                raise ValueError(f"expected walls with a length, got {(x0, y0, x1, y1)} in wall {number}")
        object.__setattr__(self, "walls", tuple(tuple(wall) for wall in walls.tolist()))
        for name in ("start", "goal"):
            place = _numbers(name, getattr(self, name), "(2,), x and y")
            if place.shape != (2,):
                raise ValueError(f"expected {name} of shape (2,), x and y, got {place.shape}")
            object.__setattr__(self, name, tuple(place.tolist()))
        if not (isinstance(self.heading, int | float) and 0 <= self.heading <= 360):
            raise ValueError(f"expected a heading in [0, 360] degrees, got {self.heading!r}")

    @classmethod
    def load(cls, name: str | Path) -> "WallMaze":
        """Read a published maze by its name ("hard", "medium"), or any maze from a text file.

        A maze file has one item per line: `start X Y`, `goal X Y`, `heading DEGREES` and `wall X0 Y0 X1 Y1`;
        text after a `#` is a comment.

        Raises:
            ValueError: for an unknown name (the message lists the known ones), or a bad line of the file
                (with its number).
        """
        folder = resources.files("gym_safemaze") / "mazes"
        known = sorted(Path(file.name).stem for file in folder.iterdir() if _is_wall_maze(file))
        if str(name) in known:
            return cls.parse((folder / f"{name}.txt").read_text(encoding="utf-8"))
        path = Path(name)
        if not path.is_file():
            raise ValueError(f"expected one of the mazes {known} or a maze file, got {str(name)!r}")
        return cls.parse(path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> "WallMaze":
        """Make a maze from the text of a maze file (see `load`)."""
        items: dict[str, list[tuple[float, ...]]] = {"start": [], "goal": [], "heading": [], "wall": []}
        sizes = {"start": 2, "goal": 2, "heading": 1, "wall": 4}
        for number, line in enumerate(text.splitlines(), start=1):
            word, *rest = line.split("#")[0].split() or [""]
            if not word:
                continue
            if word not in items:
                raise ValueError(f"line {number}: expected one of {sorted(items)}, got {word!r}")
            try:
                values = tuple(float(value) for value in rest)
            except ValueError:
                raise ValueError(
                    f"line {number}: expected numbers after {word!r}, got {' '.join(rest)!r}"
                ) from None
            if len(values) != sizes[word]:
                raise ValueError(
                    f"line {number}: expected {sizes[word]} numbers after {word!r}, got {len(values)}"
                )
            items[word].append(values)
        for word, most in (("start", 1), ("goal", 1)):
            if len(items[word]) != most:
                raise ValueError(f"expected one {word} line, got {len(items[word])}")
        heading = items["heading"][-1][0] if items["heading"] else 0.0
        return cls(items["wall"], items["start"][0], items["goal"][0], heading)  # type: ignore[arg-type]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the grid that covers all walls, in units."""
        corners = np.asarray(self.walls).reshape(-1, 2).max(axis=0)
        return int(corners[0]) + 2, int(corners[1]) + 2


def wall_distance(maze: WallMaze, x: Any, y: Any) -> NDArray[np.float64]:
    """Return the distance from the places (x, y), arrays of one shape, to the nearest wall."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    nearest = np.full(np.broadcast(x, y).shape, np.inf)
    for x0, y0, x1, y1 in maze.walls:
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        nearest = np.minimum(nearest, np.hypot(x - x0 - along * dx, y - y0 - along * dy))
    return nearest


@lru_cache(maxsize=32)
def path_distance(maze: WallMaze) -> NDArray[np.float64]:
    """Return how far it is to walk to the goal from every place of the maze.

    Paths go from grid point to grid point, one unit to the left, right, up or down, and keep `CLEARANCE`
    from walls.

    Args:
        maze: a closed maze.

    Returns:
        (width, height) float64, read-only: the length of the shortest path from (x, y), inf where there is
        none.

    Raises:
        ValueError: where paths lead from the goal out of the maze, or none leads to the start.
    """
    width, height = maze.size
    free = wall_distance(maze, *np.mgrid[0:width, 0:height]) >= CLEARANCE
    goal = _grid_point("goal", maze.goal, free)
    distance = np.full((width, height), np.inf)
    distance[goal] = 0.0
    queue = deque([goal])
    while queue:
        x, y = queue.popleft()
        if x in (0, width - 1) or y in (0, height - 1):
            raise ValueError(
                f"the maze is not closed: a path leads from its goal {maze.goal} out at ({x}, {y})"
            )
        for place in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if free[place] and distance[place] == np.inf:
                distance[place] = distance[x, y] + 1.0
                queue.append(place)
    if distance[_grid_point("start", maze.start, free)] == np.inf:
        raise ValueError(f"no path leads from the start {maze.start} to the goal {maze.goal}")
    distance.flags.writeable = False
    return distance


def shortest_path(maze: WallMaze, place: Sequence[float]) -> NDArray[np.int64]:
    """Return a shortest path, (K, 2) grid points, from the grid point of `place` (x, y) to the goal.

    Raises:
        ValueError: where no path leads from `place` to the goal.
    """
    distance = path_distance(maze)
    x, y = _grid_point("place", place, np.isfinite(distance))
    path = [(x, y)]
    while distance[x, y] > 0:
        x, y = min(((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)), key=distance.__getitem__)
        path.append((x, y))
    return np.array(path)


def _grid_point(name: str, place: Sequence[float], free: NDArray[np.bool_]) -> tuple[int, int]:
    x, y = int(place[0]), int(place[1])
    if not (0 <= x < free.shape[0] and 0 <= y < free.shape[1]):
        raise ValueError(f"the {name} {tuple(place)} lies outside the maze")
    if not free[x, y]:
        raise ValueError(f"the {name} {tuple(place)} lies inside a wall")
    return x, y


def _numbers(name: str, values: Any, shape: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"expected {name} of shape {shape}, got {values!r}") from None
    if not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers in {name}, got {values!r}")
    return array


def _is_wall_maze(file: Any) -> bool:
    return file.name.endswith(".txt") and "\nwall " in file.read_text(encoding="utf-8")
