"""The robot of the Breadcrumb Hard Maze: its steering, collisions and sensors, for any number of lanes.

Arithmetic follows the simulator published with the paper (`maze.h`) operation by operation: values are
float32, a few intermediates are float64, and pi is 3.1415926. In return a trajectory equals the published
simulator's bit for bit; a float64 robot leaves it at the first step. Rewriting an expression in a
mathematically equal form breaks that.
"""

# The kernels carry no type annotations: numba infers their types.
# mypy: disable-error-code="no-untyped-def"

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_safemaze.jit import kernel

RADIUS = 8.0
SENSOR_RANGE = 100.0
GOAL_RADIUS = 10.0
SENSOR_ANGLES = (-90.0, -45.0, 0.0, 45.0, 90.0, -180.0)
NUM_SENSORS = 11

#: The state of one lane: x and y in units, heading in degrees, speed in units and turn rate in degrees per
#: frame.
LANE = np.dtype(
    [
        ("position", np.float32, 2),
        ("heading", np.float32),
        ("speed", np.float32),
        ("turn_rate", np.float32),
        ("steps", np.int64),
        ("collisions", np.int64),
        ("solved", np.bool_),
        ("fitness", np.float64),
    ],
    align=True,
)


class Course(NamedTuple):
    """What all lanes of an environment have in common, in the order in which `run` takes it."""

    max_steps: int
    final: bool
    walls: NDArray[np.float32]
    goal_x: float
    goal_y: float
    fitness: NDArray[np.float64]


def wall_table(walls: NDArray[np.floating]) -> NDArray[np.float32]:
    """Lay out wall segments the way the kernels read them.

    Args:
        walls: segments (W, 4), each x0 y0 x1 y1.

    Returns:
        (7, W): x0, y0, x1, y1, x1-x0, y1-y0 and the squared length, rounded as the published simulator does.
    """
    x0, y0, x1, y1 = np.asarray(walls, dtype=np.float32).T
    dx, dy = x1 - x0, y1 - y0
    length = np.sqrt(dx * dx + dy * dy)
    return np.ascontiguousarray([x0, y0, x1, y1, dx, dy, length * length])


def _ray_table() -> NDArray[np.float32]:
    """Return the rangefinders' end points seen from a robot of heading 0, (2, 8); two columns are padding."""
    angles = np.zeros(8)
    angles[: len(SENSOR_ANGLES)] = SENSOR_ANGLES
    radians = (angles / 180.0 * 3.1415926).astype(np.float32).astype(np.float64)
    directions = np.stack([np.cos(radians), np.sin(radians)]).astype(np.float32)
    return directions * np.float32(SENSOR_RANGE)


RAYS = _ray_table()


@kernel
def _steer(lane, turn, thrust):
    """Move speed and turn rate towards what the action asks for, by at most 0.2."""
    turn = min(max(turn, np.float32(0.0)), np.float32(1.0))
    thrust = min(max(thrust, np.float32(0.0)), np.float32(1.0))
    turn_change = np.float32(np.float32((turn - 0.5) * 6.0) - lane.turn_rate)
    speed_change = np.float32(np.float32((thrust - 0.5) * 6.0) - lane.speed)
    limit = np.float32(0.2)
    turn_change = min(max(turn_change, -limit), limit)
    speed_change = min(max(speed_change, -limit), limit)
    bound = np.float32(3.0)
    lane.turn_rate = min(max(np.float32(lane.turn_rate + turn_change), -bound), bound)
    lane.speed = min(max(np.float32(lane.speed + speed_change), -bound), bound)


@kernel
def _touches_wall(x, y, walls):
    """Tell whether a body centred on (x, y) would be closer than its radius to any wall."""
    touching = False
    for j in range(walls.shape[1]):
        dx, dy = walls[4, j], walls[5, j]
        along = ((x - walls[0, j]) * dx + (y - walls[1, j]) * dy) / walls[6, j]
        to_start_x, to_start_y = x - walls[0, j], y - walls[1, j]
        to_end_x, to_end_y = x - walls[2, j], y - walls[3, j]
        to_start = to_start_x * to_start_x + to_start_y * to_start_y
        to_end = to_end_x * to_end_x + to_end_y * to_end_y
        foot_x, foot_y = x - (walls[0, j] + along * dx), y - (walls[1, j] + along * dy)
        beside = foot_x * foot_x + foot_y * foot_y
        outside = (along < np.float32(0.0)) | (along > np.float32(1.0))
        distance = min(to_start, to_end) if outside else beside
        # a rounded float32 root is below 8 exactly when its square is below 64
        touching |= distance < np.float32(64.0)
    return touching


@kernel
def _move(lane, walls):
    """Advance one frame: move along the heading before turning, unless a wall would be touched."""
    angle = lane.heading / 180.0 * 3.1415926
    velocity_x = np.float32(math.cos(angle) * lane.speed)
    velocity_y = np.float32(math.sin(angle) * lane.speed)
    heading = np.float32(lane.heading + lane.turn_rate)
    if heading > np.float32(360.0):
        heading = np.float32(heading - np.float32(360.0))
    if heading < np.float32(0.0):
        heading = np.float32(heading + np.float32(360.0))
    lane.heading = heading
    x, y = velocity_x + lane.position[0], velocity_y + lane.position[1]
    if _touches_wall(x, y, walls):
        lane.collisions += 1
    else:
        lane.position[0] = x
        lane.position[1] = y


@kernel
def _sense(lane, walls, goal_x, goal_y, scratch, sensors):
    """Write the eleven sensor values of one lane into `sensors` (11,)."""
    x, y = lane.position[0], lane.position[1]
    radians = np.float32(lane.heading / 180.0 * 3.1415926)
    cosine, sine = math.cos(radians), math.sin(radians)
    zero, one = np.float32(0.0), np.float32(1.0)

    # Rangefinders: the nearest wall crossed on the way to the point 100 units ahead of each. All rays meet
    # one wall at a time without a branch, so that they share vector instructions.
    for k in range(scratch.shape[1]):
        ahead_x, ahead_y = (x + RAYS[0, k]) - x, (y + RAYS[1, k]) - y
        scratch[0, k] = ((cosine * ahead_x - sine * ahead_y) + x) - x
        scratch[1, k] = ((sine * ahead_x + cosine * ahead_y) + y) - y
        scratch[2, k] = np.float32(SENSOR_RANGE * SENSOR_RANGE)
    for j in range(walls.shape[1]):
        wall_x, wall_y, dx, dy = walls[0, j], walls[1, j], walls[4, j], walls[5, j]
        from_x, from_y = wall_x - x, wall_y - y
        side = from_y * dx - from_x * dy
        for k in range(scratch.shape[1]):
            ray_x, ray_y, nearest = scratch[0, k], scratch[1, k], scratch[2, k]
            cross = dx * ray_y - dy * ray_x  # 0 for a parallel wall, which then fails the comparisons below
            along_wall = (from_y * ray_x - from_x * ray_y) / cross
            along_ray = side / cross
            hit_x, hit_y = x - (wall_x + along_wall * dx), y - (wall_y + along_wall * dy)
            distance = hit_x * hit_x + hit_y * hit_y
            crossed = (along_wall > zero) & (along_wall < one) & (along_ray > zero) & (along_ray < one)
            scratch[2, k] = distance if crossed & (distance < nearest) else nearest
    sensors[0] = one
    for k in range(6):
        sensors[1 + k] = math.sqrt(scratch[2, k]) / np.float32(SENSOR_RANGE)

    # Radar: the quarter, relative to the heading, in which the goal lies.
    to_x, to_y = goal_x - x, goal_y - y
    ahead = ((cosine * to_x + sine * to_y) + x) - x
    aside = ((cosine * to_y - sine * to_x) + y) - y
    if ahead == zero:
        bearing = np.float32(90.0) if aside > zero else np.float32(270.0)
    else:
        bearing = np.float32(math.atan(aside / ahead) / 3.1415926 * 180.0)
        if ahead < zero:
            bearing = np.float32(bearing + 180.0)
    turned = bearing + 360.0
    for k in range(4):
        low = 315.0 if k == 0 else 90.0 * k - 45.0
        seen = (bearing >= low and bearing < low + 90.0) or (turned >= low and turned < low + 90.0)
        sensors[7 + k] = one if seen else zero


@kernel
def run(
    lanes,
    active,
    actions,
    frame_skip,
    max_steps,
    final,
    walls,
    goal_x,
    goal_y,
    fitness,
    frames,
    rewards,
    over,
):
    """Hold each active lane's action for `frame_skip` frames, or for the frames left of its episode.

    Args:
        lanes: states (N,) of dtype `LANE`, changed in place.
        active: (N,) bool; the other lanes stay as they are and nothing is written into their rows.
        actions: (N, 2) float32, turn and thrust, each clamped to [0, 1]; not NaN.
        frame_skip: frames to simulate; with 0 nothing moves, and everything is brought up to date.
        max_steps: frames of an episode.
        final: whether the reward is the fitness at the end, else it is the fitness gained.
        walls: the table of `wall_table`.
        goal_x: x of the goal.
        goal_y: y of the goal.
        fitness: (W, H) float64, the fitness at each integer position.
        frames: (N, F, 11) float32, written: with F = 1 the sensors after the last frame, else after each of
            the F = frame_skip frames, the last of them repeated where the episode ended early.
        rewards: (N,) float64, written.
        over: (N,) bool, written: whether the episode has ended.
    """
    goal_x, goal_y = np.float32(goal_x), np.float32(goal_y)
    scratch = np.empty((3, RAYS.shape[1]), dtype=np.float32)
    for i in range(lanes.shape[0]):
        if not active[i]:
            continue
        lane = lanes[i]
        count = min(frame_skip, max_steps - lane.steps)
        played = max(count, 1)
        for step in range(played):
            if step < count:
                _steer(lane, actions[i, 0], actions[i, 1])
                _move(lane, walls)
            dx, dy = goal_x - lane.position[0], goal_y - lane.position[1]
            if math.sqrt(dx * dx + dy * dy) < np.float32(GOAL_RADIUS):
                lane.solved = True
            if frames.shape[1] > 1 or step == played - 1:
                _sense(lane, walls, goal_x, goal_y, scratch, frames[i, min(step, frames.shape[1] - 1)])
        for step in range(played, frames.shape[1]):
            for k in range(frames.shape[2]):
                frames[i, step, k] = frames[i, played - 1, k]
        lane.steps += count
        over[i] = lane.steps >= max_steps
        before = lane.fitness
        column = min(max(int(lane.position[0]), 0), fitness.shape[0] - 1)
        row = min(max(int(lane.position[1]), 0), fitness.shape[1] - 1)
        lane.fitness = fitness[column, row]
        if final:
            rewards[i] = lane.fitness if over[i] else 0.0
        else:
            rewards[i] = lane.fitness - before
