"""safemaze/TopdownMaze-v0: a maze seen from above, three squares wide, in which the way must be counted."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from os import PathLike

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from gym_safemaze.ascii_maze import AsciiMaze, load_maze, maze_option
from gym_safemaze.checks import check_count, per_lane
from gym_safemaze.drawing import ROBOT, SENSOR, TRAJECTORY
from gym_safemaze.grid_drawing import SQUARE, grid_canvas
from gym_safemaze.jit import kernel
from gym_safemaze.lane_vector_env import LaneVectorEnv
from gym_safemaze.lanes import LaneEnv, Mask, Options, StepResult
from gym_safemaze.settings import documented

NORTH, SOUTH, WEST, EAST, STAY = range(5)
BLOCK = 21
PICTURE = 64

#: The state of one lane; `row` and `column` in squares from the top left, `fitness` in path squares touched.
LANE = np.dtype(
    [
        ("row", np.int32),
        ("column", np.int32),
        ("steps", np.int32),
        ("solved", np.bool_),
        ("fitness", np.float64),
    ],
    align=True,
)


@kernel
def advance_lanes(
    lanes: NDArray[np.void],
    active: NDArray[np.bool_],
    actions: NDArray[np.int64],
    walls: NDArray[np.bool_],
    order: NDArray[np.int64],
    length: int,
    visited: NDArray[np.bool_],
) -> None:
    """Move each active lane one square, or not at all where there is a wall.

    Args:
        lanes: states (N,) of dtype `LANE`, changed in place.
        active: (N,); the other lanes stay as they are.
        actions: (N,), each of `NORTH` to `STAY`.
        walls: (rows, columns).
        order: (rows, columns), index of each square along the path; 0 is the start, -1 is off the path.
        length: squares of the path, the start not counted.
        visited: (N, rows, columns), changed in place.
    """
    for i in range(lanes.shape[0]):
        if not active[i]:
            continue
        lane, action = lanes[i], actions[i]
        row = lane.row + (action == SOUTH) - (action == NORTH)
        column = lane.column + (action == EAST) - (action == WEST)
        if not walls[row, column]:
            lane.row, lane.column = row, column
        if not visited[i, lane.row, lane.column]:
            visited[i, lane.row, lane.column] = True
            if order[lane.row, lane.column] > 0:
                lane.fitness += 1.0
                lane.solved = lane.fitness >= length
        lane.steps += 1


@lru_cache(maxsize=1)
def all_views() -> NDArray[np.uint8]:
    """Return the picture of every 3 x 3 neighbourhood, (512, 64, 64, 1) uint8: wall 0, free 255.

    Bit k of the index says whether square k of the neighbourhood, row by row, is free. Blocks are 21 pixels
    wide; the 64th row and column of pixels, which three blocks leave over, continue the last block.
    """
    free = (np.arange(512)[:, np.newaxis] >> np.arange(9) & 1).astype(np.uint8).reshape(512, 3, 3) * 255
    block = np.minimum(np.arange(PICTURE) // BLOCK, 2)
    views = np.ascontiguousarray(free[:, block][:, :, block, np.newaxis])
    views.setflags(write=False)
    return views


def view_numbers(walls: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the index in `all_views` of what is seen from each square, (rows, columns)."""
    free = np.pad(~walls, 1)
    numbers = np.zeros(walls.shape, dtype=np.int64)
    for k in range(9):
        row, column = divmod(k, 3)
        numbers |= free[row : row + walls.shape[0], column : column + walls.shape[1]].astype(np.int64) << k
    return numbers


@dataclass(eq=False)
class TopdownMazeSettings:
    """What can be chosen about the top-down maze.

    Args:
        maze: a bundled maze ("figure_5a" is the paper's), the path of a text file, a drawing, or its list of
            rows.
        max_steps: steps of an episode, after which it terminates.

    Raises:
        ValueError: for an argument out of range, or a maze that is not closed; the message points at the row
            and column.
    """

    maze: str | PathLike[str] | Sequence[str] = "figure_5a"
    _: KW_ONLY
    max_steps: int = 40

    def make_lanes(self, num_lanes: int, drawn: bool) -> "TopdownMazeLanes":
        """Make `num_lanes` walkers."""
        return TopdownMazeLanes(num_lanes, self)


class TopdownMazeLanes:
    """N walkers, each in its own copy of one maze (see `gym_safemaze.lanes.Lanes`).

    Args:
        num_lanes: N.
        settings: what the caller chose.
    """

    reset_options: tuple[str, ...] = ("maze", "start")

    def __init__(self, num_lanes: int, settings: TopdownMazeSettings) -> None:
        self.observation_space: Space = Box(0, 255, (PICTURE, PICTURE, 1), np.uint8)
        self.action_space: Space = Discrete(5)
        self.num_lanes = check_count("num_envs", num_lanes)
        self.max_steps = check_count("max_steps", settings.max_steps)
        self.state = np.zeros(self.num_lanes, dtype=LANE)
        self._views = all_views()
        self._enter(load_maze(settings.maze))

    def _enter(self, maze: AsciiMaze) -> None:
        self.maze = maze
        self._numbers = view_numbers(maze.walls)
        self.visited = np.zeros((self.num_lanes, *maze.walls.shape), dtype=np.bool_)

    def reset(self, mask: Mask, generator: Callable[[int], np.random.Generator], options: Options) -> None:
        """Put the walkers of `mask` at the start.

        Option "maze" replaces the maze from now on; "start", row and column, (2,) or (N, 2), replaces its
        start for this episode.
        """
        maze = maze_option(self.maze, options, mask)
        start = per_lane("start", options.get("start", maze.start), (2,), self.num_lanes)[mask]
        _check_squares(maze, start)
        if maze is not self.maze:
            self._enter(maze)
        row, column = start.astype(np.int64).T
        self.visited[mask] = False
        self.visited[mask, row, column] = True
        fresh = np.zeros(len(row), dtype=LANE)
        fresh["row"], fresh["column"] = row, column
        fresh["fitness"] = maze.order[row, column] > 0
        fresh["solved"] = fresh["fitness"] >= len(maze.path) - 1
        self.state[mask] = fresh

    def step(self, actions: NDArray, active: Mask) -> StepResult:
        """Move the active walkers by one square."""
        before = self.state["fitness"].copy()
        advance_lanes(
            self.state,
            active,
            actions,
            self.maze.walls,
            self.maze.order,
            len(self.maze.path) - 1,
            self.visited,
        )
        over = self.state["solved"] | (self.state["steps"] >= self.max_steps)
        return self.state["fitness"] - before, over, np.zeros_like(over)

    def observe(self, lanes: slice | Mask) -> NDArray[np.uint8]:
        """Return the pictures (M, 64, 64, 1) of some lanes."""
        return self._views[self._numbers[self.state["row"][lanes], self.state["column"][lanes]]]

    def info(self) -> dict[str, NDArray]:
        """Return fitness (N,), solved (N,), behavior (N, 2) as row and column, and steps (N,)."""
        return {
            "fitness": self.state["fitness"].copy(),
            "solved": self.state["solved"].copy(),
            "behavior": np.stack([self.state["row"], self.state["column"]], axis=1).astype(np.float32),
            "steps": self.state["steps"].copy(),
        }

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return the map of the maze with the squares visited and, framed, those the walker sees."""
        canvas = grid_canvas(self.maze, height=416).copy()
        for row, column in np.argwhere(self.visited[lane]):
            canvas.disc(((column + 0.5) * SQUARE, (row + 0.5) * SQUARE), 0.12 * SQUARE, TRAJECTORY)
        x, y = self.state["column"][lane] * SQUARE, self.state["row"][lane] * SQUARE
        near, far = -SQUARE, 2 * SQUARE
        corners = [(near, near), (far, near), (far, far), (near, far), (near, near)]
        canvas.line(np.add(corners, (x, y)), SENSOR, 0.1 * SQUARE)
        canvas.disc((x + SQUARE / 2, y + SQUARE / 2), 0.3 * SQUARE, ROBOT)
        return canvas.picture()


def _check_squares(maze: AsciiMaze, squares: NDArray[np.float64]) -> None:
    rows, columns = maze.walls.shape
    for row, column in np.unique(squares, axis=0).tolist():
        if row % 1 or column % 1:
            raise ValueError(f"expected option 'start' as row and column, got ({row:g}, {column:g})")
        inside = 0 <= row < rows and 0 <= column < columns
        if not inside or not maze.reachable[int(row), int(column)]:
            raise ValueError(f"the start ({row:g}, {column:g}) is a wall or outside the maze")


@documented
@dataclass(eq=False)
class TopdownMazeEnv(TopdownMazeSettings, LaneEnv):
    """One walker seen from above. docs/topdown_maze.md of this package has the whole description."""

    metadata = {**LaneEnv.metadata, "render_fps": 8}
    lanes: TopdownMazeLanes = field(init=False, repr=False)


@documented
@dataclass(eq=False)
class TopdownMazeVectorEnv(TopdownMazeSettings, LaneVectorEnv):
    """N walkers in N copies of a maze, advanced together."""

    metadata = {**LaneVectorEnv.metadata, "render_fps": 8}
    lanes: TopdownMazeLanes = field(init=False, repr=False)
