"""Whole episodes of the hard maze in one compiled call: its robots, and the networks that drive them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evolution.networks.dense_policy import DensePolicy
from evolution.networks.dense_policy import decide as decide_densely
from evolution.networks.residual_policy import ResidualPolicy
from evolution.networks.residual_policy import decide as decide_with_skips
from gym_safemaze.hard_maze import HardMazeLanes
from gym_safemaze.jit import kernel
from gym_safemaze.robot import NUM_SENSORS, run


class Rollout(NamedTuple):
    """What came of N episodes of D decisions, each held for F frames.

    Attributes:
        frames: What the robots sensed before each frame, (N, 1 + D F, 11); after the end, the last again.
        positions: Of the robots at each decision and in the end, (N, D + 1, 2).
        broken: Whether an output of the network was not a number, (N,).
    """

    frames: np.ndarray
    positions: np.ndarray
    broken: np.ndarray


def drive(lanes: HardMazeLanes, policy: DensePolicy | ResidualPolicy, first: np.ndarray) -> Rollout:
    """Let networks drive robots that have just been reset to the end of their episodes.

    Args:
        lanes: Their N robots; afterwards they have their final fitness and whether they solved the maze.
        policy: The networks.
        first: What the robots sense, (N, 11).
    """
    number, interval = lanes.num_lanes, lanes.frame_skip
    decisions = -(-lanes.max_steps // interval)
    rollout = Rollout(
        frames=np.empty((number, 1 + decisions * interval, NUM_SENSORS), np.float32),
        positions=np.empty((number, decisions + 1, 2), np.float32),
        broken=np.zeros(number, np.bool_),
    )
    rollout.frames[:, 0] = first
    network = policy.weights, policy.padded_widths, policy.units, policy.skip_every
    _drive(network, lanes.state, interval, lanes.course, rollout)
    return rollout


@kernel
def _drive(network, state, interval, course, rollout):  # type: ignore[no-untyped-def]
    """Decide and run in turns to the end of the episodes."""
    weights, widths, units, skip_every = network
    number, decisions = len(state), rollout.positions.shape[1] - 1
    seen = rollout.frames[:, 0].copy()
    recorded = np.empty((number, interval, seen.shape[1]), np.float32)
    actions, rewards = np.empty((number, 2), np.float32), np.empty(number)
    active, over = np.ones(number, np.bool_), np.empty(number, np.bool_)
    for step in range(decisions + 1):
        for lane in range(number):
            rollout.positions[lane, step, 0] = state[lane].position[0]
            rollout.positions[lane, step, 1] = state[lane].position[1]
        if step == decisions:
            break
        if skip_every:
            decide_with_skips(weights, widths, skip_every, seen, units, actions)
        else:
            decide_densely(weights, widths, seen, units, actions)
        for lane in range(number):
            rollout.broken[lane] |= np.isnan(actions[lane, 0]) or np.isnan(actions[lane, 1])
            if rollout.broken[lane]:  # neither turn nor thrust
                actions[lane, 0] = actions[lane, 1] = np.float32(0.5)
        run(
            state,
            active,
            actions,
            interval,
            course.max_steps,
            course.final,
            course.walls,
            course.goal_x,
            course.goal_y,
            course.fitness,
            recorded,
            rewards,
            over,
        )
        for lane in range(number):
            for frame in range(interval):
                for sensor in range(seen.shape[1]):
                    rollout.frames[lane, 1 + step * interval + frame, sensor] = recorded[lane, frame, sensor]
            for sensor in range(seen.shape[1]):
                seen[lane, sensor] = recorded[lane, interval - 1, sensor]
