"""Mazes drawn with characters, one per square.

``#`` is a wall, ``.`` a free square, ``S`` the start. The correct path is either drawn with ``x``, one line
of squares that leads away from the start, or left to be found: with a goal ``G`` it is the shortest way
there.

    ######
    #Sxx.#      the start is square (1, 1), the path (1, 2), (1, 3), (2, 3)
    ###x##
    ######

Squares are (row, column) from the top left, counted from 0 in code and from 1 in messages to people.
"""

from __future__ import annotations

import os
import textwrap
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_safemaze.maze_file import read_maze_file

WALL, FREE, START, PATH, GOAL = "#.SxG"
BOM = "\ufeff"  # some editors begin a text with it
Square = tuple[int, int]

#: The most squares of a drawing.
MOST_SQUARES = 250_000


@dataclass(frozen=True, eq=False)
class AsciiMaze:
    """A closed maze with a start and one correct path.

    Attributes:
        rows: The drawing, one string per row.
        walls: (rows, columns) bool, True where there is a wall. Every way out of the start ends at one.
        path: (K + 1, 2) int64, the squares of the correct path in walking order; ``path[0]`` is the start.
        order: (rows, columns) int64, the index in `path` of each square, -1 off the path.
        reachable: (rows, columns) bool, the squares that can be walked to from the start.
    """

    rows: tuple[str, ...]
    walls: NDArray[np.bool_]
    path: NDArray[np.int64]
    order: NDArray[np.int64]
    reachable: NDArray[np.bool_]

    @property
    def start(self) -> Square:
        """The start square (row, column)."""
        return int(self.path[0, 0]), int(self.path[0, 1])


def bundled_mazes() -> list[str]:
    """Names of the mazes that come with the package, accepted wherever a maze is asked for."""
    folder = files("gym_safemaze") / "mazes" / "ascii"
    return sorted(entry.name[: -len(".txt")] for entry in folder.iterdir() if entry.name.endswith(".txt"))


def maze_option(current: AsciiMaze, options: dict[str, Any], mask: NDArray[np.bool_]) -> AsciiMaze:
    """Return the maze that the reset option "maze" asks for, or the current one.

    Raises:
        ValueError: as `load_maze`, or when some lanes are to keep the current maze: they all share one.
    """
    if "maze" not in options:
        return current
    if not mask.all():
        raise ValueError("expected option 'maze' in a reset of all lanes, which share it, got a reset_mask")
    return load_maze(options["maze"])


def load_maze(maze: str | os.PathLike[str] | Sequence[str]) -> AsciiMaze:
    """Read a maze from a bundled name, the path of a text file, a drawing, or its list of rows.

    Raises:
        ValueError: The drawing is no closed maze with one start and one path; the message points at the
            row and column. Or the name is neither bundled nor a file.
        TypeError: `maze` is neither a string nor a sequence of strings.
    """
    if isinstance(maze, os.PathLike):
        maze = os.fspath(maze)
    if not isinstance(maze, str):
        if not isinstance(maze, Sequence) or not all(isinstance(row, str) for row in maze):
            raise TypeError(f"expected a maze as a name, a file, a drawing or a list of rows, got {maze!r}")
        return parse_maze("\n".join(maze))
    if is_drawing(maze):
        return parse_maze(maze)
    if maze in bundled_mazes():
        return parse_maze((files("gym_safemaze") / "mazes" / "ascii" / f"{maze}.txt").read_text("utf-8"))
    text = read_maze_file(maze, bundled_mazes())
    check_drawing_file(maze, text)
    return parse_maze(text)


def is_drawing(text: str) -> bool:
    """Whether a string is a drawing, and not a name: it has several lines, however they end."""
    return len(text.splitlines()) > 1


def check_drawing_file(path: str, text: str) -> None:
    """Raise a ValueError, which shows nothing of it, if `text` has other characters than a drawing."""
    for number, line in enumerate(text.splitlines(), start=1):
        if set(line) - set(WALL + FREE + START + PATH + GOAL + " \t"):
            raise ValueError(
                f"expected a drawing of a maze in the characters {WALL} {FREE} {START} {PATH} {GOAL}, "
                f"got others in line {number} of {path!r}"
            )


def parse_maze(text: str) -> AsciiMaze:
    """Read a drawing; common indentation and blank lines around it do not count.

    Raises:
        ValueError: As `load_maze`.
    """
    text = "\n".join(row.rstrip() for row in text.removeprefix(BOM).expandtabs().splitlines())
    rows = tuple(textwrap.dedent(text).strip("\n").split("\n"))
    _check_size(rows)
    _check_characters(rows)
    drawing = np.array([list(row) for row in rows])
    walls = drawing == WALL
    start = _only_one(rows, drawing, START, "start")
    steps = _flood(walls, start)
    _check_closed(rows, steps)
    is_drawn = (drawing == PATH).any()
    squares = _drawn_path(rows, drawing, start) if is_drawn else _way_to_goal(rows, drawing, steps)
    path = np.array(squares, dtype=np.int64)
    order = np.full(walls.shape, -1, dtype=np.int64)
    order[path[:, 0], path[:, 1]] = np.arange(len(path))
    reachable = np.zeros(walls.shape, dtype=np.bool_)
    reachable[tuple(np.array(list(steps)).T)] = True
    for array in (walls, path, order, reachable):
        array.setflags(write=False)
    return AsciiMaze(rows, walls, path, order, reachable)


def _check_size(rows: tuple[str, ...]) -> None:
    columns = max(len(row) for row in rows)
    if len(rows) * columns > MOST_SQUARES:
        raise ValueError(
            f"expected a maze of at most {MOST_SQUARES} squares, got {len(rows)} rows of {columns} columns"
        )


def _check_characters(rows: tuple[str, ...]) -> None:
    if not rows[0]:
        raise ValueError("the maze is empty")
    for i, row in enumerate(rows):
        for j, character in enumerate(row):
            if character not in (WALL, FREE, START, PATH, GOAL):
                raise ValueError(
                    f"unknown character {character!r} at {_place(rows, i, j)}\n"
                    "known are # wall, . free, S start, x path, G goal"
                )
        if len(row) != len(rows[0]):
            fault = "missing" if len(row) < len(rows[0]) else "too many"
            raise ValueError(
                f"every row must be as long as the first, {len(rows[0])} squares, but row {i + 1} has "
                f"{len(row)}: {fault} from {_place(rows, i, min(len(row), len(rows[0])))}"
            )


def _only_one(rows: tuple[str, ...], drawing: NDArray[np.str_], character: str, noun: str) -> Square:
    found = [(int(i), int(j)) for i, j in np.argwhere(drawing == character)]
    if not found:
        raise ValueError(
            f"the maze has no {noun} {character!r} in its {len(rows)} rows and {len(rows[0])} columns"
        )
    if len(found) > 1:
        first, second = found[:2]
        raise ValueError(
            f"the maze has {len(found)} {noun}s {character!r}: the first at row {first[0] + 1}, "
            f"column {first[1] + 1}, another at {_place(rows, *second)}"
        )
    return found[0]


def _flood(walls: NDArray[np.bool_], start: Square) -> dict[Square, int]:
    """Squares that can be reached, nearest first, each with the steps it takes."""
    steps = {start: 0}
    queue = deque([start])
    while queue:
        square = queue.popleft()
        for neighbour in _neighbours(square, walls.shape):
            if neighbour not in steps and not walls[neighbour]:
                steps[neighbour] = steps[square] + 1
                queue.append(neighbour)
    return steps


def _neighbours(square: Square, shape: tuple[int, ...]) -> list[Square]:
    row, column = square
    around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return [(i, j) for i, j in around if 0 <= i < shape[0] and 0 <= j < shape[1]]


def _check_closed(rows: tuple[str, ...], reached: dict[Square, int]) -> None:
    for i, j in reached:
        if i in (0, len(rows) - 1) or j in (0, len(rows[0]) - 1):
            raise ValueError(
                "the maze is not closed: the start leads to a free square on the border "
                f"at {_place(rows, i, j)}"
            )


def _drawn_path(rows: tuple[str, ...], drawing: NDArray[np.str_], start: Square) -> list[Square]:
    """Follow the x from the start; every one must be met and none may leave a choice."""
    if (drawing == GOAL).any():
        i, j = np.argwhere(drawing == GOAL)[0]
        raise ValueError(
            f"the path is drawn with 'x' already, so a goal is one too many at {_place(rows, i, j)}"
        )
    squares = [start]
    left = {(int(i), int(j)) for i, j in np.argwhere(drawing == PATH)}
    while True:
        ahead = [square for square in _neighbours(squares[-1], drawing.shape) if square in left]
        if len(ahead) > 1:
            raise ValueError(f"the path of 'x' forks at {_place(rows, *squares[-1])}")
        if not ahead:
            break
        squares.append(ahead[0])
        left.remove(ahead[0])
    if left:
        raise ValueError(
            f"the path of 'x' must be one line from the start, but it ends after {len(squares) - 1} squares "
            f"and does not meet the 'x' at {_place(rows, *min(left))}"
        )
    return squares


def _way_to_goal(rows: tuple[str, ...], drawing: NDArray[np.str_], steps: dict[Square, int]) -> list[Square]:
    """The shortest way from start to goal. It must be the only one, or the path would be an accident."""
    if not (drawing == GOAL).any():
        raise ValueError("the maze has neither a path of 'x' nor a goal 'G', so there is nothing to reach")
    goal = _only_one(rows, drawing, GOAL, "goal")
    if goal not in steps:
        raise ValueError(f"no way leads from the start to the goal at {_place(rows, *goal)}")
    squares = [goal]
    while steps[squares[-1]] > 0:
        square = squares[-1]
        nearer = [s for s in _neighbours(square, drawing.shape) if steps.get(s, -1) == steps[square] - 1]
        if len(nearer) > 1:
            raise ValueError(
                f"several ways to the goal are equally short, so draw the path with 'x': they meet at "
                f"{_place(rows, *square)}"
            )
        squares.append(nearer[0])
    return squares[::-1]


def _place(rows: tuple[str, ...], row: int, column: int) -> str:
    """Point at a square: its position in words, then the row it is in with a mark below it."""
    return f"row {row + 1}, column {column + 1} (counted from 1):\n    {rows[row]}\n    {' ' * column}^"
