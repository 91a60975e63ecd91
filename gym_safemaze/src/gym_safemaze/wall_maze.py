"""Mazes made of straight walls, and how far it is to walk from each of their places to the goal."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_safemaze.ascii_maze import bundled_mazes, check_drawing_file, is_drawing, load_maze
from gym_safemaze.checks import check_numbers
from gym_safemaze.maze_file import read_maze_file

#: Paths keep this far from walls. Walls so thickened give the distances published with the paper to within 6
#: units.
CLEARANCE = 2.0

#: The width of a square of a drawn maze; the robot is 16 units wide.
SQUARE = 30.0
OVERLAP = 0.01

#: The most grid points, width times height, that a maze may cover.
MOST_PLACES = 4_000_000


_WALL_LINE = re.compile(r"^\s*wall(\s+[-+.\deE]+){4}\s*(#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class WallMaze:
    """Walls, a start and a goal, in units of length with y growing downwards.

    Args:
        walls: segments (W, 4), each x0 y0 x1 y1. Together they must enclose the start; coordinates are not
            negative. They are kept rounded to float32, which the robot computes in, so that what is checked
            is what it meets.
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
        walls = _finite("walls", self.walls, "(W, 4), one x0 y0 x1 y1 per wall")
        if walls.ndim != 2 or walls.shape[1] != 4 or len(walls) == 0:
            raise ValueError(f"expected walls of shape (W, 4), one x0 y0 x1 y1 per wall, got {walls.shape}")
        _check_walls(walls)
        rounded = walls.astype(np.float32).astype(np.float64)
        object.__setattr__(self, "walls", tuple(tuple(wall) for wall in rounded.tolist()))
        for name in ("start", "goal"):
            place = _finite(name, getattr(self, name), "(2,), x and y")
            if place.shape != (2,):
                raise ValueError(f"expected {name} of shape (2,), x and y, got {place.shape}")
            object.__setattr__(self, name, tuple(place.tolist()))
        number = isinstance(self.heading, int | float | np.number) and not isinstance(self.heading, bool)
        if not (number and 0 <= self.heading <= 360):
            raise ValueError(f"expected a heading in [0, 360] degrees, got {self.heading!r}")

    @classmethod
    def load(cls, maze: str | PathLike[str] | Sequence[str]) -> "WallMaze":
        """Read a maze by its name ("hard", "medium"), from a file, or from a drawing.

        A maze file has one item per line: `start X Y`, `goal X Y`, `heading DEGREES` and `wall X0 Y0 X1 Y1`;
        text after a `#` is a comment. A drawing is that of `gym_safemaze.ascii_maze`, as a bundled name,
        a file, a string or a list of rows; see `from_drawing`.

        Raises:
            ValueError: for an unknown name (the message lists the known ones), a bad line of a maze file
                (with its number), or a drawing that is no closed maze (with row and column).
        """
        if not isinstance(maze, str | PathLike) or is_drawing(str(maze)):
            return cls.from_drawing(maze)
        folder = resources.files("gym_safemaze") / "mazes"
        known = sorted(Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".txt"))
        if str(maze) in known:
            return cls.parse((folder / f"{maze}.txt").read_text(encoding="utf-8"))
        if str(maze) in bundled_mazes():
            return cls.from_drawing(maze)
        text = read_maze_file(maze, [*known, *bundled_mazes()])
        if _WALL_LINE.search(text):
            return cls.parse(text)
        if "wall" in text:
            raise ValueError(f"expected lines 'wall X0 Y0 X1 Y1' in the maze file {str(maze)!r}, got none")
        check_drawing_file(str(maze), text)
        return cls.from_drawing(text.splitlines())  # rows: a text of one line would be taken for a name

    @classmethod
    def from_drawing(cls, maze: str | PathLike[str] | Sequence[str]) -> "WallMaze":
        """Make walls around the squares of a drawn maze that can be walked to, `SQUARE` units each.

        The robot starts in the middle of `S`, looking to the right; the goal is the middle of the path's end.
        """
        drawn = load_maze(maze)
        inside = np.pad(drawn.reachable, 1)
        walls = [(x0, y, x1, y) for y, x0, x1 in _edges(inside)]
        walls += [(x, y0, x, y1) for x, y0, y1 in _edges(inside.T)]
        start, goal = (
            tuple((np.array(square)[::-1] + 1.5) * SQUARE) for square in (drawn.path[0], drawn.path[-1])
        )
        return cls(tuple(walls), start, goal)

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
        for word in ("start", "goal"):
            if len(items[word]) != 1:
                raise ValueError(f"expected one {word} line, got {len(items[word])}")
        if len(items["heading"]) > 1:
            raise ValueError(f"expected at most one heading line, got {len(items['heading'])}")
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
    return np.minimum.reduce([_segment_distance(wall, x, y) for wall in maze.walls])


def _segment_distance(
    wall: tuple[float, float, float, float], x: NDArray[Any], y: NDArray[Any]
) -> NDArray[np.float64]:
    x0, y0, x1, y1 = wall
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy)


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
    free = _free_places(maze)
    height = free.shape[1]
    distance = np.full(free.shape, np.inf)
    is_free, steps = free.ravel(), distance.ravel()  # views: from here on each place has one number
    goal_x, goal_y = _grid_point("goal", maze.goal, free)
    frontier = np.array([goal_x * height + goal_y])
    for number in count():
        steps[frontier] = number
        _check_inside(frontier, free.shape, maze.goal)
        around = np.concatenate([frontier + height, frontier - height, frontier + 1, frontier - 1])
        frontier = np.unique(around[is_free[around] & np.isinf(steps[around])])
        if len(frontier) == 0:
            break
    if distance[_grid_point("start", maze.start, free)] == np.inf:
        raise ValueError(f"no path leads from the start {maze.start} to the goal {maze.goal}")
    distance.flags.writeable = False
    return distance


def _check_inside(places: NDArray[np.int64], shape: tuple[int, ...], goal: Sequence[float]) -> None:
    """Raise a ValueError if one of the numbered places of the grid is on its border."""
    x, y = np.divmod(places, shape[1])
    leaves = (x == 0) | (x == shape[0] - 1) | (y == 0) | (y == shape[1] - 1)
    if leaves.any():
        place = int(x[leaves][0]), int(y[leaves][0])
        raise ValueError(f"the maze is not closed: a path leads from its goal {goal} out at {place}")


def _free_places(maze: WallMaze) -> NDArray[np.bool_]:
    """Return which grid points (width, height) keep `CLEARANCE` from all walls.

    Each wall is compared with the points near it only.
    """
    free = np.ones(maze.size, dtype=np.bool_)
    for wall in maze.walls:
        x, y = _places_along(wall)
        inside = (x >= 0) & (x < free.shape[0]) & (y >= 0) & (y < free.shape[1])
        x, y = x[inside], y[inside]
        free[x, y] &= _segment_distance(wall, x, y) >= CLEARANCE
    return free


def _places_along(wall: tuple[float, float, float, float]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return x and y of grid points among which are all that are closer to a wall than `CLEARANCE`."""
    start, end = np.reshape(wall, (2, 2))
    main = int(np.abs(end - start).argmax())  # the axis along which the wall is longer
    if start[main] > end[main]:
        start, end = end, start
    margin = math.ceil(CLEARANCE * math.sqrt(2)) + 1
    forward = np.arange(math.floor(start[main]) - margin, math.ceil(end[main]) + margin + 1)
    middle = np.interp(forward, [start[main], end[main]], [start[1 - main], end[1 - main]])
    sideways = np.rint(middle).astype(np.int64)[:, np.newaxis] + np.arange(-margin, margin + 1)
    places = np.broadcast_to(forward[:, np.newaxis], sideways.shape).ravel(), sideways.ravel()
    return (places[0], places[1]) if main == 0 else (places[1], places[0])


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


def _edges(inside: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Return where rows of squares border on squares of the other kind.

    Args:
        inside: (rows, columns), whether a square belongs to the maze.

    Returns:
        Segments (place across the rows, first, last) in units. They overlap a little at corners, so that no
        ray slips through between two walls that only touch.
    """
    edges = []
    for row, border in enumerate(inside[1:] != inside[:-1], start=1):
        ends = np.flatnonzero(np.diff(border.astype(np.int8), prepend=0, append=0)).tolist()
        for first, last in zip(ends[::2], ends[1::2], strict=True):
            edges.append((row * SQUARE, first * SQUARE - OVERLAP, last * SQUARE + OVERLAP))
    return edges


def _check_walls(walls: NDArray[np.float64]) -> None:
    """Raise a ValueError for too large a maze, and for the first wall that a robot could not meet."""
    for number, (x0, y0, x1, y1) in enumerate(walls.tolist()):
        if min(x0, y0, x1, y1) < 0:
            raise ValueError(
                f"expected wall coordinates of at least 0, got {(x0, y0, x1, y1)} in wall {number}"
            )
    right, bottom = walls.reshape(-1, 2).max(axis=0).tolist()
    if (right + 2) * (bottom + 2) > MOST_PLACES:
        raise ValueError(
            f"expected at most {MOST_PLACES} grid points, got walls as far as ({right:g}, {bottom:g})"
        )
    x0, y0, x1, y1 = walls.astype(np.float32).T
    vanishing = np.flatnonzero((x1 - x0) ** 2 + (y1 - y0) ** 2 == 0)
    if len(vanishing):
        number = vanishing[0]
        raise ValueError(
            f"expected walls with a length in float32, got {tuple(walls[number].tolist())} in wall {number}"
        )


def _finite(name: str, values: Any, shape: str) -> NDArray[np.float64]:
    array = check_numbers(name, values, f"of shape {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers in {name}, got {values!r}")
    return array
