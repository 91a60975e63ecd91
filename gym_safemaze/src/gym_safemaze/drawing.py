"""Pictures of wall mazes and of what robots did in them, for people.

`wall_maze_picture` draws a maze with any number of trajectories over it:

    from gym_safemaze.drawing import wall_maze_picture
    from gym_safemaze.wall_maze import WallMaze

    picture = wall_maze_picture(WallMaze.load("hard"), trajectories=[positions])  # (height, width, 3) uint8

It needs pygame but no screen.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_safemaze.wall_maze import WallMaze, shortest_path
from gym_safemaze.window import import_pygame

Color = tuple[int, int, int]

PAPER: Color = (255, 255, 255)
INK: Color = (38, 42, 51)
BREADCRUMBS: Color = (206, 211, 219)
TRAJECTORY: Color = (214, 93, 14)
ROBOT: Color = (38, 101, 189)
SENSOR: Color = (150, 186, 232)
GOAL: Color = (46, 139, 87)

_NO_COLOR: Color = (255, 0, 255)  # stands for "nothing drawn here" on transparent sheets
_MARGIN = 4.0  # units of paper around the maze
_SHORTEST = 16  # pixels of a side at least
_LONGEST = 2048  # pixels of the longer side of an environment's picture
_OVERSAMPLING = 2  # pictures are drawn larger and shrunk, which smooths every edge


def fitting(scale: float, width: float, height: float) -> float:
    """Return `scale`, or less where a sheet of so many units would be longer than a screen or a video is."""
    return min(scale, _LONGEST / (max(width, height) + 2 * _MARGIN))


class Canvas:
    """A sheet of paper measured in maze units.

    Args:
        width: width in units.
        height: height in units.
        scale: pixels per unit in the finished picture.
    """

    def __init__(self, width: float, height: float, scale: float) -> None:
        self._pygame = import_pygame()
        self._scale = scale * _OVERSAMPLING
        self._size = tuple(max(_SHORTEST, round((side + 2 * _MARGIN) * scale)) for side in (width, height))
        self._surface = self._pygame.Surface([_OVERSAMPLING * side for side in self._size], depth=32)
        self._surface.fill(PAPER)

    def copy(self) -> "Canvas":
        """Return a second sheet with the same drawing."""
        twin = object.__new__(Canvas)
        twin.__dict__.update(self.__dict__, _surface=self._surface.copy())
        return twin

    def line(self, places: ArrayLike, color: Color, width: float, opacity: float = 1.0) -> None:
        """Draw a line `width` units wide through `places` (T, 2), with round ends and corners."""
        points = self._pixels(places)
        thickness = max(1, round(width * self._scale))
        surface = self._surface if opacity >= 1.0 else self._transparent(opacity)
        for start, end in pairwise(points):
            self._pygame.draw.line(surface, color, start, end, thickness)
        if thickness > 2:
            for point in points:
                self._pygame.draw.circle(surface, color, point, thickness / 2)
        if surface is not self._surface:
            self._surface.blit(surface, (0, 0))

    def disc(self, place: ArrayLike, radius: float, color: Color) -> None:
        """Draw a filled circle, all in units."""
        center = self._pixels([np.asarray(place)])[0]
        self._pygame.draw.circle(self._surface, color, center, radius * self._scale)

    def ring(self, place: ArrayLike, radius: float, color: Color, width: float = 1.0) -> None:
        """Draw a circle `width` units wide."""
        thickness = max(1, round(width * self._scale))
        center = self._pixels([np.asarray(place)])[0]
        self._pygame.draw.circle(self._surface, color, center, radius * self._scale, thickness)

    def rectangle(self, place: ArrayLike, width: float, height: float, color: Color) -> None:
        """Fill a rectangle whose left upper corner is at `place`, all in units."""
        left, top = self._pixels([np.asarray(place)])[0]
        size = (round(width * self._scale), round(height * self._scale))
        self._pygame.draw.rect(self._surface, color, (round(left), round(top), *size))

    def picture(self) -> NDArray[np.uint8]:
        """Return the finished drawing, (height, width, 3)."""
        surface = self._pygame.transform.smoothscale(self._surface, self._size)
        return np.ascontiguousarray(self._pygame.surfarray.array3d(surface).transpose(1, 0, 2))

    def _pixels(self, places: ArrayLike) -> list[list[float]]:
        return ((np.asarray(places, dtype=np.float64) + _MARGIN) * self._scale).tolist()

    def _transparent(self, opacity: float) -> Any:
        """Return an empty sheet; what is drawn on it will cover what lies below by `opacity`."""
        surface = self._pygame.Surface(self._surface.get_size(), depth=32)
        surface.fill(_NO_COLOR)
        surface.set_colorkey(_NO_COLOR)
        surface.set_alpha(round(255 * opacity))
        return surface


def wall_maze_picture(
    maze: WallMaze,
    trajectories: Iterable[ArrayLike] = (),
    *,
    colors: Color | Sequence[Color] = TRAJECTORY,
    opacity: float = 1.0,
    breadcrumbs: bool = True,
    scale: float = 3.0,
) -> NDArray[np.uint8]:
    """Draw a maze, its start and goal, and trajectories in it.

    Args:
        maze: the maze.
        trajectories: each (T, 2), the positions x, y of one robot in units; a dot marks the last.
        colors: one colour for all trajectories, or one for each.
        opacity: how much a trajectory covers what it crosses, in (0, 1].
        breadcrumbs: whether to hint at the shortest path from start to goal.
        scale: pixels per unit; at 3 the Hard Maze is about 640 pixels wide.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: for a trajectory of another shape, or a wrong number of colours.
        gymnasium.error.DependencyNotInstalled: without pygame.
    """
    paths = [np.asarray(trajectory, dtype=np.float64) for trajectory in trajectories]
    for number, path in enumerate(paths):
        if path.ndim != 2 or path.shape[1] != 2 or len(path) == 0:
            raise ValueError(
                f"expected trajectories of shape (T, 2), got {path.shape} for trajectory {number}"
            )
    if not 0.0 < opacity <= 1.0:
        raise ValueError(f"expected an opacity in (0, 1], got {opacity}")
    palette = np.asarray(colors).reshape(-1, 3)
    if len(palette) not in (1, len(paths)):
        raise ValueError(f"expected one colour or {len(paths)}, one per trajectory, got {len(palette)}")
    canvas = wall_maze_canvas(maze, scale, breadcrumbs).copy()
    for path, color in zip(paths, np.broadcast_to(palette, (len(paths), 3)).tolist(), strict=True):
        canvas.line(path, tuple(color), 1.2, opacity)
        canvas.disc(path[-1], 2.2, tuple(color))
    return canvas.picture()


@lru_cache(maxsize=8)
def wall_maze_canvas(maze: WallMaze, scale: float, breadcrumbs: bool) -> Canvas:
    """Return a canvas with the maze on it; draw on a copy."""
    width, height = maze.size
    canvas = Canvas(width - 2, height - 2, scale)
    if breadcrumbs:
        for place in shortest_path(maze, maze.start)[::6]:
            canvas.disc(place, 0.9, BREADCRUMBS)
    canvas.ring(maze.start, 4.0, INK)
    canvas.ring(maze.goal, 10.0, GOAL)
    canvas.disc(maze.goal, 4.0, GOAL)
    for x0, y0, x1, y1 in maze.walls:
        canvas.line([(x0, y0), (x1, y1)], INK, 2.0)
    return canvas
