"""The map of a maze of squares, for people."""

from functools import lru_cache

from gym_safemaze.ascii_maze import AsciiMaze
from gym_safemaze.drawing import BREADCRUMBS, GOAL, INK, Canvas, fitting

#: Canvas units per square.
SQUARE = 10.0

#: Pixels of a square at least, as far as the picture fits.
LEAST = 4.0


@lru_cache(maxsize=8)
def grid_canvas(maze: AsciiMaze, height: int) -> Canvas:
    """Return a canvas with the maze on it, about `height` pixels high if that suits it; draw on a copy.

    The path is tinted, a ring marks the start and a disc the path's last square.
    """
    rows, columns = maze.walls.shape
    size = columns * SQUARE, rows * SQUARE
    canvas = Canvas(*size, fitting(max(height / rows, LEAST) / SQUARE, *size))
    for row in range(rows):
        for column in range(columns):
            if maze.walls[row, column]:
                canvas.rectangle((column * SQUARE, row * SQUARE), SQUARE, SQUARE, INK)
            elif maze.order[row, column] >= 0:
                canvas.rectangle((column * SQUARE, row * SQUARE), SQUARE, SQUARE, BREADCRUMBS)
    start, end = maze.path[[0, -1], ::-1] * SQUARE + SQUARE / 2
    canvas.ring(start, SQUARE * 0.35, INK)
    canvas.disc(end, SQUARE * 0.25, GOAL)
    return canvas
