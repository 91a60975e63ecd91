"""safemaze/FirstPersonMaze-v0: the same maze seen by someone who walks in it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from os import PathLike

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete
from numpy.typing import ArrayLike, NDArray

from gym_safemaze.ascii_maze import AsciiMaze, load_maze, maze_option
from gym_safemaze.checks import check_between, check_count, check_flag, per_lane
from gym_safemaze.drawing import PAPER, ROBOT, TRAJECTORY
from gym_safemaze.grid_drawing import SQUARE, grid_canvas
from gym_safemaze.lane_vector_env import LaneVectorEnv
from gym_safemaze.lanes import LaneEnv, Mask, Options, StepResult
from gym_safemaze.raycaster import ceiling_and_floor, draw_views, wall_texture
from gym_safemaze.settings import documented
from gym_safemaze.walker import GAP, LANE, advance_lanes, score_lanes

PICTURE = 64

#: Positions kept for drawing where the walker has been, the latest ones.
TRAIL_LENGTH = 1024

#: Pixels for people to each pixel of the walker's, at least.
LEAST_ZOOM = 4


@dataclass(eq=False)
class FirstPersonMazeSettings:
    """What can be chosen about the first-person maze.

    Args:
        maze: a bundled maze ("figure_5a" is the paper's), the path of a text file, a drawing, or its list of
            rows.
        max_steps: frames of an episode, after which it terminates.
        frame_skip: frames for which each action is held; one picture is drawn after the last of them.
        move_speed: squares walked per frame, between 0 and 1.
        turn_speed: degrees turned per frame, between 0 and 180.
        start_angle: degrees, clockwise from the direction of the path, at which the walker looks at first,
            between -360 and 360.
        body_radius: how close the middle of the body comes to walls, in squares, between 0 and 0.499999.
        rgb: whether pictures have three colors in place of one gray.
        texture: brightness (h, w) or colors (h, w, 3) of a wall square in [0, 255]; None for a plain white
            one.
        wall_color: red, green and blue through which the texture is seen.
        floor_color: red, green and blue of the floor.
        ceiling_color: red, green and blue of the ceiling.

    Raises:
        ValueError: for an argument out of range, or a maze that is not closed; the message points at the row
            and column.
    """

    maze: str | PathLike[str] | Sequence[str] = "figure_5a"
    _: KW_ONLY
    max_steps: int = 400
    frame_skip: int = 4
    move_speed: float = 0.08
    turn_speed: float = 5.0
    start_angle: float = -90.0
    body_radius: float = 0.2
    rgb: bool = False
    texture: ArrayLike | None = None
    wall_color: ArrayLike = (255, 255, 255)
    floor_color: ArrayLike = (92, 92, 92)
    ceiling_color: ArrayLike = (0, 0, 0)

    def make_lanes(self, num_lanes: int, drawn: bool) -> "FirstPersonMazeLanes":
        """Make `num_lanes` walkers."""
        return FirstPersonMazeLanes(num_lanes, self)


class FirstPersonMazeLanes:
    """N walkers, each in its own copy of one maze (see `gym_safemaze.lanes.Lanes`).

    Args:
        num_lanes: N.
        settings: what the caller chose.
    """

    reset_options: tuple[str, ...] = ("maze", "position", "heading")

    def __init__(self, num_lanes: int, settings: FirstPersonMazeSettings) -> None:
        self.num_lanes = check_count("num_envs", num_lanes)
        self.max_steps = check_count("max_steps", settings.max_steps)
        self.frame_skip = check_count("frame_skip", settings.frame_skip)
        self.move_speed = check_between("move_speed", settings.move_speed, 0.0, 1.0)
        self.turn_speed = check_between("turn_speed", settings.turn_speed, 0.0, 180.0)
        self.start_angle = check_between("start_angle", settings.start_angle, -360.0, 360.0)
        self.body_radius = check_between("body_radius", settings.body_radius, 0.0, 0.5 - GAP)
        rgb = check_flag("rgb", settings.rgb)
        self.observation_space: Space = Box(0, 255, (PICTURE, PICTURE, 3 if rgb else 1), np.uint8)
        self.action_space: Space = Discrete(5)
        self.maze = load_maze(settings.maze)
        self._texture = wall_texture(settings.texture, settings.wall_color, rgb)
        self._background = ceiling_and_floor(settings.ceiling_color, settings.floor_color, rgb)
        self.state = np.zeros(self.num_lanes, dtype=LANE)
        decisions = -(-self.max_steps // self.frame_skip)
        self._trail = np.zeros((self.num_lanes, min(decisions + 1, TRAIL_LENGTH), 2), dtype=np.float32)
        self._decisions = np.zeros(self.num_lanes, dtype=np.int64)

    def reset(self, mask: Mask, generator: Callable[[int], np.random.Generator], options: Options) -> None:
        """Put the walkers of `mask` in the middle of the start square, turned by `start_angle` from the path.

        Option "maze" replaces the maze from now on; "position", x and y, (2,) or (N, 2), and "heading" in
        degrees, () or (N,), replace its start for this episode.
        """
        maze = maze_option(self.maze, options, mask)
        south, east = maze.path[1] - maze.path[0]
        row, column = maze.start
        position = per_lane(
            "position", options.get("position", (column + 0.5, row + 0.5)), (2,), self.num_lanes
        )
        first = (math.degrees(math.atan2(south, east)) + self.start_angle) % 360.0
        heading = per_lane("heading", options.get("heading", first), (), self.num_lanes)
        self._check_positions(maze, position[mask])
        if not np.isfinite(heading[mask]).all():
            raise ValueError(f"expected option 'heading' in degrees, got {options['heading']!r}")
        self.maze = maze
        fresh = np.zeros(int(mask.sum()), dtype=LANE)
        within = heading[mask] % 360.0 % 360.0  # of -1e-20 the first remainder is 360
        fresh["pose"] = np.column_stack([position[mask], within])
        rows, columns = np.floor(position[mask]).astype(np.int64).T[::-1]
        fresh["reached"] = np.maximum(maze.order[rows, columns], 0)
        score_lanes(fresh, maze.path)
        self.state[mask] = fresh
        self._decisions[mask] = 0
        self._trail[mask, 0] = position[mask]

    def step(self, actions: NDArray, active: Mask) -> StepResult:
        """Hold the actions of the active walkers for `frame_skip` frames, or to the end of their episodes."""
        before = self.state["fitness"].copy()
        advance_lanes(
            self.state,
            active,
            actions,
            self.frame_skip,
            self.max_steps,
            self.maze.walls,
            self.maze.path,
            self.move_speed,
            self.turn_speed,
            self.body_radius,
        )
        self._decisions += active
        place = self._decisions % self._trail.shape[1]
        self._trail[np.arange(self.num_lanes), place] = self.state["pose"][:, :2]
        over = self.state["solved"] | (self.state["steps"] >= self.max_steps)
        return self.state["fitness"] - before, over, np.zeros_like(over)

    def observe(self, lanes: slice | Mask) -> NDArray[np.uint8]:
        """Return the pictures (M, 64, 64, C) of some lanes."""
        return self._views(np.ascontiguousarray(self.state["pose"][lanes]))

    def info(self) -> dict[str, NDArray]:
        """Return fitness, solved, heading and steps, all (N,), and behavior (N, 2), the position x and y."""
        return {
            "fitness": self.state["fitness"].copy(),
            "solved": self.state["solved"].copy(),
            "behavior": self.state["pose"][:, :2].astype(np.float32),
            "heading": self.state["pose"][:, 2].copy(),
            "steps": self.state["steps"].copy(),
        }

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return a picture: on the left what the walker sees, on the right where it is in the maze."""
        canvas = grid_canvas(self.maze, height=376).copy()
        latest = int(self._decisions[lane])
        trail = np.roll(self._trail[lane], -1 - latest, axis=0)[-1 - latest :]
        canvas.line(trail * SQUARE, TRAJECTORY, 0.15 * SQUARE)
        x, y, heading = self.state["pose"][lane]
        nose = math.cos(math.radians(heading)), math.sin(math.radians(heading))
        canvas.line([(x * SQUARE, y * SQUARE), np.add((x, y), nose) * SQUARE], ROBOT, 0.12 * SQUARE)
        canvas.disc((x * SQUARE, y * SQUARE), max(self.body_radius, 0.15) * SQUARE, ROBOT)
        chart = canvas.picture()
        zoom = max(LEAST_ZOOM, len(chart) // PICTURE)
        seen = (
            self._views(self.state["pose"][lane : lane + 1].copy())[0]
            .repeat(zoom, axis=0)
            .repeat(zoom, axis=1)
        )
        height, left = max(len(chart), len(seen)), 0
        picture = np.full((height, seen.shape[1] + chart.shape[1], 3), PAPER, dtype=np.uint8)
        for part in (seen, chart):
            top, right = (height - len(part)) // 2, left + part.shape[1]
            picture[top : top + len(part), left:right] = part
            left = right
        return picture

    def _views(self, poses: NDArray[np.float64]) -> NDArray[np.uint8]:
        frames = np.empty((len(poses), PICTURE, PICTURE, self._texture.shape[2]), dtype=np.uint8)
        draw_views(self.maze.walls, poses, self._texture, self._background, frames)
        return frames

    def _check_positions(self, maze: AsciiMaze, positions: NDArray[np.float64]) -> None:
        rows, columns = maze.walls.shape
        for x, y in np.unique(positions, axis=0).tolist():
            if not (0.0 <= x < columns and 0.0 <= y < rows and maze.reachable[int(y), int(x)]):
                raise ValueError(f"the position ({x:g}, {y:g}) is inside a wall or outside the maze")
            for corner_x in (x - self.body_radius, x + self.body_radius):
                for corner_y in (y - self.body_radius, y + self.body_radius):
                    if maze.walls[math.floor(corner_y), math.floor(corner_x)]:
                        raise ValueError(
                            f"the position ({x:g}, {y:g}) is closer to a wall than the body's radius, "
                            f"{self.body_radius:g}"
                        )


@documented
@dataclass(eq=False)
class FirstPersonMazeEnv(FirstPersonMazeSettings, LaneEnv):
    """One walker in a maze. docs/first_person_maze.md of this package has the whole description."""

    metadata = {**LaneEnv.metadata, "render_fps": 10}
    lanes: FirstPersonMazeLanes = field(init=False, repr=False)


@documented
@dataclass(eq=False)
class FirstPersonMazeVectorEnv(FirstPersonMazeSettings, LaneVectorEnv):
    """N walkers in N copies of a maze, advanced together."""

    metadata = {**LaneVectorEnv.metadata, "render_fps": 10}
    lanes: FirstPersonMazeLanes = field(init=False, repr=False)
