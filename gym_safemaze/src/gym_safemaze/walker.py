"""Someone who walks in a maze of squares: turning, walking, sliding along walls, following the path.

x runs along the columns and y along the rows, downwards, both in squares; a heading of 0 degrees looks along
x, 90 along y. The body is a square that does not turn, which makes the contact with walls exact.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_safemaze.jit import kernel

LEFT, RIGHT, FORWARD, BACKWARD, STAY = range(5)

#: A body that meets a wall stops this far from it, so that rounding never puts it inside.
GAP = 1e-6

#: The state of one lane. `pose` is x, y (in squares) and heading (in degrees), `steps` counts frames,
#: `reached` is the last square of the path that was reached in order, `fitness` the distance made good along
#: the path, in squares.
LANE = np.dtype(
    [
        ("pose", np.float64, (3,)),
        ("steps", np.int32),
        ("reached", np.int32),
        ("solved", np.bool_),
        ("fitness", np.float64),
    ],
    align=True,
)


@kernel
def _slide(walls: NDArray[np.bool_], along: float, across: float, move: float, radius: float) -> float:
    """Move along the columns of `walls`, up to the first wall that a body of half-width `radius` meets."""
    if move == 0.0:
        return along
    ahead = math.floor(along + move + math.copysign(radius, move))
    for beside in (math.floor(across - radius), math.floor(across + radius)):
        if walls[beside, ahead]:
            return ahead - radius - GAP if move > 0.0 else ahead + 1 + radius + GAP
    return along + move


@kernel
def _reach(lane: Any, path: NDArray[np.int64], row: int, column: int) -> None:
    """Record that the lane has been in a square, which counts once all before it have been reached."""
    k, last = lane.reached, path.shape[0] - 1
    if k < last and path[k + 1, 0] == row and path[k + 1, 1] == column:
        lane.reached = k + 1
    if lane.reached == last:
        lane.fitness, lane.solved = last - 0.5, True


@kernel
def _score(lane: Any, path: NDArray[np.int64]) -> None:
    """Record how far along the path the lane is."""
    x, y = lane.pose[0], lane.pose[1]
    row, column = int(y), int(x)
    _reach(lane, path, row, column)
    k = lane.reached
    if lane.solved or path[k, 0] != row or path[k, 1] != column:
        return
    # the mean of the way in and the way out of this square, which on a straight stretch are the same
    before, scale = (k - 1, 0.5) if k > 0 else (0, 1.0)
    to_south, to_east = (path[k + 1, 0] - path[before, 0]) * scale, (path[k + 1, 1] - path[before, 1]) * scale
    lane.fitness = max(lane.fitness, k + (y - row - 0.5) * to_south + (x - column - 0.5) * to_east)


@kernel
def score_lanes(lanes: NDArray[np.void], path: NDArray[np.int64]) -> None:
    """Record how far along the `path` (K + 1, 2) each lane (N,) is."""
    for i in range(lanes.shape[0]):
        _score(lanes[i], path)


@kernel
def advance_lanes(
    lanes: NDArray[np.void],
    active: NDArray[np.bool_],
    actions: NDArray[np.int64],
    frames: int,
    max_steps: int,
    walls: NDArray[np.bool_],
    path: NDArray[np.int64],
    move_speed: float,
    turn_speed: float,
    radius: float,
) -> None:
    """Hold each active lane's action for some frames, or to the end of its episode.

    Args:
        lanes: states (N,) of dtype `LANE`, changed in place.
        active: (N,); the other lanes stay as they are.
        actions: (N,), each of `LEFT` to `STAY`.
        frames: how many frames.
        max_steps: frames of an episode.
        walls: (rows, columns).
        path: (K + 1, 2), row and column of the path's squares, the start first.
        move_speed: squares per frame, below 1.
        turn_speed: degrees per frame.
        radius: closest that the middle of the body comes to a wall, below 0.5.
    """
    across_walls = walls.T
    for i in range(lanes.shape[0]):
        if not active[i]:
            continue
        lane, action = lanes[i], actions[i]
        turn = turn_speed * ((action == RIGHT) - (action == LEFT))
        move = move_speed * ((action == FORWARD) - (action == BACKWARD))
        for _ in range(min(frames, max_steps - lane.steps)):
            heading = lane.pose[2] + turn
            lane.pose[2] = heading - 360.0 * math.floor(heading / 360.0)
            x0, y0, radians = lane.pose[0], lane.pose[1], math.radians(lane.pose[2])
            x = _slide(walls, x0, y0, move * math.cos(radians), radius)
            y = _slide(across_walls, y0, x, move * math.sin(radians), radius)
            lane.pose[0], lane.pose[1] = x, y
            lane.steps += 1
            if int(x) != int(x0) and int(y) != int(
                y0
            ):  # from corner to corner: the body is in all four squares
                _reach(lane, path, int(y0), int(x))
                _reach(lane, path, int(y), int(x0))
            _score(lane, path)
            if lane.solved:
                break
