"""safemaze/BreadcrumbHardMaze-v0: a robot with eleven sensors in the paper's deceptive maze."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from gym_safemaze import robot
from gym_safemaze.checks import check_choice, check_count, check_flag, per_lane
from gym_safemaze.drawing import GOAL, PAPER, ROBOT, SENSOR, TRAJECTORY, fitting, wall_maze_canvas
from gym_safemaze.lane_vector_env import LaneVectorEnv
from gym_safemaze.lanes import LaneEnv, Mask, Options, StepResult
from gym_safemaze.settings import documented
from gym_safemaze.wall_maze import WallMaze, path_distance, wall_distance

PICTURE_SCALE = 3.0  # pixels per unit, where the picture fits
REWARDS = ("progress", "final")


@dataclass(eq=False)
class HardMazeSettings:
    """What can be chosen about the Hard Maze.

    Args:
        maze: "hard", "medium", a maze file or a drawing (`WallMaze.load`).
        walls: segments (W, 4) to use in place of the maze's own, each x0 y0 x1 y1; they must be closed.
        start: start (x, y) in place of the maze's own.
        goal: goal (x, y) in place of the maze's own.
        heading: heading at the start in degrees, in place of the maze's own.
        max_steps: frames of an episode, after which it terminates.
        frame_skip: frames for which each action is held. The last action of an episode is held for the frames
            that are left: 400 frames at 3 a step are 133 steps of 3 frames and one of 1.
        reward: "progress" rewards each step by what it gained in fitness, which adds up to the last fitness
            minus the first; "final" is 0 until the last step, which is rewarded with the fitness.
        record_frames: add `frames` (frame_skip, 11), in a vector environment (N, frame_skip, 11), to info:
            the observations after each frame of the step. Frames that an ended episode did not play, and
            those of a reset, repeat the last observation, so that the last frame always is the observation
            returned.

    Raises:
        ValueError: for an argument out of range, walls that are not closed, a start or goal inside a wall.
    """

    maze: str | PathLike[str] | Sequence[str] = "hard"
    _: KW_ONLY
    walls: ArrayLike | None = None
    start: ArrayLike | None = None
    goal: ArrayLike | None = None
    heading: float | None = None
    max_steps: int = 400
    frame_skip: int = 1
    reward: str = "progress"
    record_frames: bool = False

    def make_lanes(self, num_lanes: int, drawn: bool) -> "HardMazeLanes":
        """Make `num_lanes` robots; those that are `drawn` remember where they have been."""
        return HardMazeLanes(num_lanes, self, keep_trails=drawn)

    def chosen_maze(self) -> WallMaze:
        """Return the named maze with the given parts exchanged."""
        named = WallMaze.load(self.maze)
        return WallMaze(
            walls=named.walls if self.walls is None else self.walls,  # type: ignore[arg-type]
            start=named.start if self.start is None else self.start,  # type: ignore[arg-type]
            goal=named.goal if self.goal is None else self.goal,  # type: ignore[arg-type]
            heading=named.heading if self.heading is None else self.heading,
        )


class HardMazeLanes:
    """N robots, each in its own copy of one maze (see `gym_safemaze.lanes.Lanes`).

    Args:
        num_lanes: N.
        settings: what the caller chose.
        keep_trails: whether to remember each robot's positions for its picture.
    """

    reset_options: tuple[str, ...] = ("start", "heading")

    def __init__(self, num_lanes: int, settings: HardMazeSettings, keep_trails: bool) -> None:
        check_choice("reward", settings.reward, REWARDS)
        self.num_lanes = check_count("num_envs", num_lanes)
        self.max_steps = check_count("max_steps", settings.max_steps)
        self.frame_skip = check_count("frame_skip", settings.frame_skip)
        self.maze = settings.chosen_maze()
        self.record_frames = check_flag("record_frames", settings.record_frames)
        self.observation_space: Space = Box(0.0, 1.0, (robot.NUM_SENSORS,), np.float32)
        self.action_space: Space = Box(0.0, 1.0, (2,), np.float32)
        self.state = np.zeros(self.num_lanes, dtype=robot.LANE)
        self._fitness = -path_distance(self.maze)
        self._check_start(np.asarray(self.maze.start))
        walls = robot.wall_table(np.asarray(self.maze.walls))
        self.course = robot.Course(
            self.max_steps, settings.reward == "final", walls, *self.maze.goal, self._fitness
        )
        self._trails: list[list[NDArray]] | None = (
            [[] for _ in range(self.num_lanes)] if keep_trails else None
        )
        recorded = self.frame_skip if self.record_frames else 1
        self._frames = np.zeros((self.num_lanes, recorded, robot.NUM_SENSORS), dtype=np.float32)

    def reset(self, mask: Mask, generator: Callable[[int], np.random.Generator], options: Options) -> None:
        """Put the robots of `mask` at the maze's start.

        Option "start", (2,) or (N, 2), and option "heading" in degrees, () or (N,), replace the maze's own.
        """
        start = per_lane("start", options.get("start", self.maze.start), (2,), self.num_lanes)
        heading = per_lane("heading", options.get("heading", self.maze.heading), (), self.num_lanes)
        if "start" in options:
            self._check_start(start[mask])
        if not ((heading >= 0) & (heading <= 360))[mask].all():
            raise ValueError(f"expected headings in [0, 360] degrees, got {options['heading']!r}")
        fresh = np.zeros(self.num_lanes, dtype=robot.LANE)
        fresh["position"], fresh["heading"] = start, heading
        self.state[mask] = fresh[mask]
        first = np.zeros((self.num_lanes, 1, robot.NUM_SENSORS), dtype=np.float32)
        self._run(np.zeros((self.num_lanes, 2), np.float32), mask, 0, first)
        self._frames[mask] = first[mask]
        if self._trails is not None:
            for lane in np.flatnonzero(mask):
                self._trails[lane] = [self.state["position"][lane].copy()]

    def step(self, actions: NDArray, active: Mask) -> StepResult:
        """Advance the active robots by `frame_skip` frames, or to the end of the episode."""
        rewards, over = self._run(actions, active, self.frame_skip, self._frames)
        if self._trails is not None:
            for lane in np.flatnonzero(active):
                self._trails[lane].append(self.state["position"][lane].copy())
        return rewards, over, np.zeros(self.num_lanes, dtype=np.bool_)

    def observe(self, lanes: slice | Mask) -> NDArray[np.float32]:
        """Return the sensors (M, 11) of some lanes."""
        return self._frames[lanes, -1].copy()

    def info(self) -> dict[str, NDArray]:
        """Return fitness (N,), solved (N,), behavior (N, 2), steps (N,), and frames (N, frame_skip, 11)."""
        state = self.state
        info = {
            "fitness": state["fitness"].copy(),
            "solved": state["solved"].copy(),
            "behavior": state["position"].copy(),
            "steps": state["steps"].copy(),
        }
        if self.record_frames:
            info["frames"] = self._frames.copy()
        return info

    def info_of(self, lane: int) -> dict[str, Any]:
        """Return the info of one robot, cheaper than taking it from `info`."""
        state = self.state
        info = {
            "fitness": state["fitness"].item(lane),
            "solved": state["solved"].item(lane),
            "behavior": state["position"][lane].copy(),
            "steps": state["steps"].item(lane),
        }
        if self.record_frames:
            info["frames"] = self._frames[lane].copy()
        return info

    def draw(self, lane: int) -> NDArray[np.uint8]:
        """Return a picture of one robot, its sensors and its path so far, in its maze."""
        scale = fitting(PICTURE_SCALE, *self.maze.size)
        canvas = wall_maze_canvas(self.maze, scale, breadcrumbs=True).copy()
        robot_state = self.state[lane]
        place, heading = robot_state["position"].astype(np.float64), float(robot_state["heading"])
        for number, angle in enumerate(robot.SENSOR_ANGLES):
            reach = robot.SENSOR_RANGE * self._frames[lane, -1, 1 + number]
            end = place + reach * _direction(heading + angle)
            canvas.line([place, end], SENSOR, 0.5)
            canvas.disc(end, 1.2, SENSOR)
        if self._trails is not None:
            canvas.line(self._trails[lane], TRAJECTORY, 1.0)
        canvas.disc(place, robot.RADIUS, ROBOT)
        canvas.line([place, place + robot.RADIUS * _direction(heading)], PAPER, 1.2)
        for quarter in np.flatnonzero(self._frames[lane, -1, 7:]):
            canvas.disc(place + 0.6 * robot.RADIUS * _direction(heading + 90 * quarter), 1.5, GOAL)
        return canvas.picture()

    def _run(
        self, actions: NDArray[np.float32], active: Mask, frame_skip: int, frames: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], Mask]:
        """Call the kernel, which changes the state and `frames`; return rewards and ends (N,)."""
        rewards, over = np.zeros(self.num_lanes), np.zeros(self.num_lanes, dtype=np.bool_)
        robot.run(
            self.state,
            active,
            actions,
            frame_skip,
            *self.course,
            frames,
            rewards,
            over,
        )
        return rewards, over

    def _check_start(self, start: NDArray) -> None:
        for x, y in np.unique(start.reshape(-1, 2), axis=0).tolist():
            width, height = self._fitness.shape
            inside = 0 <= x < width and 0 <= y < height and np.isfinite(self._fitness[int(x), int(y)])
            if not inside:
                raise ValueError(f"the start ({x:g}, {y:g}) lies inside a wall or outside the maze")
            distance = float(wall_distance(self.maze, x, y))
            if distance < robot.RADIUS:
                raise ValueError(
                    f"the start ({x:g}, {y:g}) is {distance:.2g} units from a wall, "
                    f"closer than the robot's radius of {robot.RADIUS:g}"
                )


def _direction(degrees: float) -> NDArray[np.float64]:
    radians = np.deg2rad(degrees)
    return np.array([np.cos(radians), np.sin(radians)])


@documented
@dataclass(eq=False)
class BreadcrumbHardMazeEnv(HardMazeSettings, LaneEnv):
    """One robot in the Hard Maze. docs/breadcrumb_hard_maze.md of this package has the whole description."""

    lanes: HardMazeLanes = field(init=False, repr=False)

    def _info(self) -> dict[str, Any]:
        return self.lanes.info_of(0)


@documented
@dataclass(eq=False)
class BreadcrumbHardMazeVectorEnv(HardMazeSettings, LaneVectorEnv):
    """N robots in N copies of the Hard Maze, advanced together."""

    lanes: HardMazeLanes = field(init=False, repr=False)
