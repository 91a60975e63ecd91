"""The Breadcrumb Hard Maze: physics, sensors and fitness against slow computations, and bad input."""

import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, shortest_path

import gym_safemaze  # noqa: F401
from gym_safemaze import robot
from gym_safemaze.ascii_maze import load_maze
from gym_safemaze.drawing import wall_maze_picture
from gym_safemaze.wall_maze import WallMaze, path_distance, wall_distance
from gym_safemaze.wall_maze import shortest_path as path_from

ID = "safemaze/BreadcrumbHardMaze-v0"
MAZES = ("hard", "medium")
ROOM = [(5, 5, 105, 5), (105, 5, 105, 85), (105, 85, 5, 85), (5, 85, 5, 5)]
IN_ROOM = {"walls": ROOM, "start": (30, 40), "goal": (80, 40)}


def segment_distance(x: float, y: float, wall: tuple[float, ...]) -> float:
    x0, y0, x1, y1 = wall
    along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
    along = min(1.0, max(0.0, along))
    return math.dist((x, y), (x0 + along * (x1 - x0), y0 + along * (y1 - y0)))


def ray_distance(x: float, y: float, degrees: float, walls) -> float:
    """Distance to the nearest wall in a direction, at most 100, from the linear equations of ray and wall."""
    nearest = 100.0
    for x0, y0, x1, y1 in walls:
        direction = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        system = np.array([[direction[0], x0 - x1], [direction[1], y0 - y1]])
        if abs(np.linalg.det(system)) > 1e-12:
            reach, along = np.linalg.solve(system, [x0 - x, y0 - y])
            if reach > 0 and 0 < along < 1:
                nearest = min(nearest, reach)
    return nearest


@pytest.mark.parametrize("name", MAZES)
def test_sensors_measure_the_maze(name):
    maze = WallMaze.load(name)
    rng = np.random.default_rng(0)
    env = gym.make(ID, maze=name).unwrapped
    free = np.argwhere(np.isfinite(path_distance(maze)))
    tried = 0
    while tried < 60:
        x, y = free[rng.integers(len(free))] + rng.random(2)
        if wall_distance(maze, x, y) < robot.RADIUS:
            continue
        tried += 1
        heading = rng.uniform(0, 360)
        observation, _ = env.reset(options={"start": (x, y), "heading": heading})
        assert observation[0] == 1
        for value, angle in zip(observation[1:7], (-90, -45, 0, 45, 90, -180), strict=True):
            assert value == pytest.approx(ray_distance(x, y, heading + angle, maze.walls) / 100, abs=1e-4)
        bearing = math.degrees(math.atan2(maze.goal[1] - y, maze.goal[0] - x)) - heading
        quarter = round((bearing % 360) / 90) % 4
        np.testing.assert_array_equal(observation[7:], np.eye(4)[quarter])


@pytest.mark.parametrize("name", MAZES)
def test_path_distance_is_the_shortest_path_of_the_grid_graph(name):
    maze = WallMaze.load(name)
    distance = path_distance(maze)
    width, height = distance.shape
    free = np.array(
        [
            [min(segment_distance(x, y, wall) for wall in maze.walls) >= 2 for y in range(height)]
            for x in range(width)
        ]
    )
    number = np.arange(width * height).reshape(width, height)
    across, down = free[:-1] & free[1:], free[:, :-1] & free[:, 1:]
    starts = np.concatenate([number[:-1][across], number[:, :-1][down]])
    ends = np.concatenate([number[1:][across], number[:, 1:][down]])
    graph = coo_matrix((np.ones(len(starts)), (starts, ends)), shape=(number.size,) * 2).tocsr()
    goal = number[int(maze.goal[0]), int(maze.goal[1])]
    expected = shortest_path(graph, directed=False, unweighted=True, indices=goal)
    np.testing.assert_array_equal(distance.ravel(), expected)
    assert len(breadth_first_order(graph, goal, directed=False)[0]) == np.isfinite(distance).sum()
    path = path_from(maze, maze.start)
    assert len(path) - 1 == distance[int(maze.start[0]), int(maze.start[1])]
    assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all()
    assert free[tuple(path.T)].all()


@settings(max_examples=10, deadline=None)
@given(
    name=st.sampled_from(MAZES),
    seed=st.integers(0, 2**32 - 1),
    held=st.integers(1, 40),
    low=st.floats(-1.0, 0.9),
    frame_skip=st.integers(1, 5),
)
def test_invariants_hold_over_10_000_random_steps(name, seed, held, low, frame_skip):
    """10 examples of 20 lanes and 50 steps."""
    maze = WallMaze.load(name)
    envs = gym.make_vec(ID, num_envs=20, maze=name, frame_skip=frame_skip, record_frames=True)
    rng = np.random.default_rng(seed)
    observations, info = envs.reset()
    distance, first = path_distance(maze), info["fitness"]
    solved, total = np.zeros(20, dtype=bool), np.zeros(20)
    for step in range(50):
        if step % held == 0:
            actions = rng.uniform(low, 1.2, (20, 2)).astype(np.float32)
        before = actions.copy()
        observations, rewards, _, _, info = envs.step(actions)
        np.testing.assert_array_equal(actions, before)
        x, y = info["behavior"].T.astype(np.float64)
        assert (wall_distance(maze, x, y) >= robot.RADIUS - 1e-4).all()
        assert envs.observation_space.contains(observations)
        assert ((info["frames"] >= 0) & (info["frames"] <= 1)).all()
        assert (info["frames"][..., 7:].sum(axis=-1) == 1).all()
        np.testing.assert_array_equal(info["frames"][:, -1], observations)
        np.testing.assert_array_equal(info["fitness"], -distance[x.astype(int), y.astype(int)])
        total += rewards
        np.testing.assert_array_equal(total, info["fitness"] - first)
        assert (info["solved"] | ~solved).all(), "solved must stay"
        close = np.hypot(x - maze.goal[0], y - maze.goal[1]) < 10
        assert (info["solved"] | ~close).all()
        solved = info["solved"]
        state = envs.lanes.state
        assert (np.abs(state["speed"]) <= 3).all() and (np.abs(state["turn_rate"]) <= 3).all()
        assert ((state["heading"] >= 0) & (state["heading"] <= 360)).all()
        assert set(info) == {f"{mark}{key}" for key in KEYS for mark in ("", "_")}


KEYS = ("fitness", "solved", "behavior", "steps", "frames")


def test_actions_outside_the_unit_square_are_clamped():
    ours = gym.make_vec(ID, num_envs=3)
    ours.reset()
    clamped = np.array([[0, 1], [1, 0], [0.5, 1]], dtype=np.float32)
    outside = np.array([[-3, 7], [np.inf, -np.inf], [0.5, 1.0001]], dtype=np.float32)
    plain = gym.make_vec(ID, num_envs=3)
    plain.reset()
    for _ in range(5):
        np.testing.assert_array_equal(ours.step(outside)[0], plain.step(clamped)[0])


def test_final_reward_is_the_fitness_at_the_horizon():
    env = gym.make(ID, reward="final", max_steps=7, frame_skip=3)
    env.reset()
    results = [env.step((0.6, 1.0)) for _ in range(3)]
    assert [result[2] for result in results] == [False, False, True]
    assert [result[1] for result in results] == [0.0, 0.0, results[-1][4]["fitness"]]
    assert results[-1][4]["steps"] == 7


def test_custom_walls_start_goal_and_heading():
    env = gym.make(ID, **IN_ROOM, heading=90.0)
    observation, info = env.reset()
    # looking down the y axis: left is +x, 75 units away; behind is 35 units of room
    assert observation[1:7] == pytest.approx(
        [0.75, 0.45 * math.sqrt(2), 0.45, 0.25 * math.sqrt(2), 0.25, 0.35]
    )
    assert info["fitness"] == -50
    for _ in range(60):
        _, _, _, _, info = env.step((0.5, 1.0))
    assert info["behavior"][0] == pytest.approx(30, abs=1e-3)
    assert info["behavior"][1] == pytest.approx(77, abs=3)
    assert 77 - info["behavior"][1] >= -1e-4
    assert gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).reset()[1]["fitness"] == -50


def test_options_of_lanes_that_are_not_reset_do_not_matter():
    envs = gym.make_vec(ID, num_envs=2)
    envs.reset()
    mask, nothing = np.array([True, False]), float("nan")
    options = {"start": [(40, 184), (nothing, 0)], "heading": [90, nothing], "reset_mask": mask}
    _, info = envs.reset(options=options)
    assert info["behavior"][0].tolist() == [40, 184]
    assert envs.lanes.state["heading"].tolist()[0] == 90


def test_reset_options_place_lanes_one_by_one():
    envs = gym.make_vec(ID, num_envs=2, **IN_ROOM)
    _, info = envs.reset(options={"start": [(30, 40), (60, 40)], "heading": [0, 180]})
    np.testing.assert_array_equal(info["fitness"], [-50, -20])
    np.testing.assert_array_equal(envs.lanes.state["heading"], [0, 180])
    assert not info["solved"].any()
    _, info = envs.reset(options={"start": [(50, 40), (75, 40)]})
    np.testing.assert_array_equal(info["solved"], [False, True])
    _, info = envs.reset(options={"start": (50, 40)})
    np.testing.assert_array_equal(info["fitness"], [-30, -30])
    _, info = envs.reset()
    np.testing.assert_array_equal(info["fitness"], [-50, -50])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maze": "harder"}, r"'hard', 'medium'.*'harder'"),
        ({"frame_skip": 0}, "frame_skip.*at least 1, got 0"),
        ({"frame_skip": 1.5}, "frame_skip"),
        ({"max_steps": 0}, "max_steps"),
        ({"reward": "sparse"}, "'progress', 'final'.*'sparse'"),
        ({**IN_ROOM, "walls": ROOM[:3]}, r"not closed.*\(80.0, 40.0\)"),
        ({**IN_ROOM, "walls": [*ROOM, (55, 0, 55, 90)]}, "no path leads from the start"),
        ({**IN_ROOM, "walls": [(1, 2, 3)]}, r"walls.*\(1, 3\)"),
        ({**IN_ROOM, "walls": []}, "walls"),
        ({**IN_ROOM, "walls": [*ROOM, (50, 50, 50, 50)]}, "wall 4"),
        ({**IN_ROOM, "walls": [*ROOM, (-1, 50, 50, 50)]}, "wall 4"),
        ({**IN_ROOM, "walls": [*ROOM, (np.nan, 50, 50, 50)]}, "finite"),
        ({**IN_ROOM, "walls": "a maze"}, "walls"),
        ({**IN_ROOM, "start": (12, 40)}, r"start \(12, 40\) is 7 units from a wall"),
        ({**IN_ROOM, "start": (5, 40)}, r"start \(5.0, 40.0\) lies inside a wall"),
        ({**IN_ROOM, "start": (500, 40)}, "start.*outside"),
        ({**IN_ROOM, "goal": (105, 40)}, "goal.*inside a wall"),
        ({**IN_ROOM, "goal": (105,)}, "goal"),
        ({"heading": 400.0}, "heading"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **arguments)
    with pytest.raises(ValueError, match=message):
        gym.make_vec(ID, num_envs=2, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": (3, 49)}, "start.*inside a wall"),
        ({"start": (1e6, 49)}, "start.*outside"),
        ({"start": (np.nan, 49)}, "start.*outside"),
        ({"start": [36, 184, 0]}, r"'start' of shape \(2,\) or \(2, 2\), got \(3,\)"),
        ({"heading": -1}, "heading"),
        ({"heading": np.nan}, "heading"),
    ],
)
def test_bad_reset_options_are_refused_and_change_nothing(options, message):
    envs = gym.make_vec(ID, num_envs=2)
    envs.reset()
    envs.step(np.ones((2, 2)))
    before = envs.lanes.state.copy()
    seeds = envs.np_random_seed
    with pytest.raises(ValueError, match=message):
        envs.reset(seed=1, options=options)
    np.testing.assert_array_equal(envs.lanes.state, before)
    assert envs.np_random_seed == seeds
    env = gym.make(ID).unwrapped
    seed = env.np_random_seed
    with pytest.raises(ValueError, match=message.replace("2, 2", "1, 2")):
        env.reset(seed=1, options=options)
    assert env.np_random_seed == seed


def test_maze_files_are_read_and_bad_lines_named(tmp_path):
    file = tmp_path / "room.txt"
    lines = ["start 30 40  # left", "goal 80 40", "", *(f"wall {' '.join(map(str, wall))}" for wall in ROOM)]
    file.write_text("\n".join(lines))
    assert gym.make(ID, maze=str(file)).unwrapped.lanes.maze == WallMaze(ROOM, (30, 40), (80, 40))
    for bad, message in (
        ("wall 1 2 3", "line 8: expected 4 numbers"),
        ("wall 1 2 3 x", "line 8: expected numbers"),
        ("door 1 2", "line 8: expected one of .*'door'"),
        ("goal 1 2", "one goal line, got 2"),
    ):
        file.write_text("\n".join([*lines, bad]))
        with pytest.raises(ValueError, match=message):
            WallMaze.load(file)


def test_drawn_mazes_have_walls_around_their_squares(tmp_path):
    rows = ["#####", "#Sxx#", "###x#", "#####"]
    env = gym.make(ID, maze=rows)
    observation, info = env.reset()
    # from the middle of the left square, looking right along three squares of 30 units
    corner = 15 * math.sqrt(2)
    assert observation[1:7] * 100 == pytest.approx([15, corner, 75, corner, 15, 15], abs=0.02)
    assert info["fitness"] == pytest.approx(-90, abs=4)
    (tmp_path / "drawn.txt").write_text("\n".join(rows))
    for same in ("\n".join(rows), str(tmp_path / "drawn.txt")):
        assert gym.make(ID, maze=same).unwrapped.lanes.maze == env.unwrapped.lanes.maze
    again, _ = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).reset()
    np.testing.assert_array_equal(again, observation)
    for _ in range(100):
        _, _, _, _, info = env.step((0.5, 1.0))
    assert info["behavior"][0] == pytest.approx(30 * 5 - 8, abs=3), "driven to the far wall"
    with pytest.raises(ValueError, match="row 2, column 1"):
        gym.make(ID, maze=["####", "Sxx#", "####"])


def test_drawn_mazes_let_no_ray_out():
    """Rays from the middles of squares and of their sides, along and across the squares' corners."""
    maze, drawn = WallMaze.load("figure_5a"), load_maze("figure_5a")
    free = np.argwhere(np.isfinite(path_distance(maze)))
    places = np.unique(free // 15 * 15.0, axis=0)
    places = places[wall_distance(maze, *places.T) >= robot.RADIUS]
    envs = gym.make_vec(ID, num_envs=len(places), maze="figure_5a")
    for heading in range(0, 360, 45):
        observations, _ = envs.reset(options={"start": places, "heading": np.full(len(places), heading)})
        for column, angle in enumerate((-90, -45, 0, 45, 90, -180), start=1):
            reach = 100 * observations[:, column].astype(np.float64) - 0.1
            direction = math.radians(heading + angle)
            way = np.linspace(0, reach[:, np.newaxis] * (math.cos(direction), math.sin(direction)), 20)
            x, y = np.moveaxis(((places + way) // 30).astype(int) - 1, -1, 0)
            assert drawn.reachable[y, x].all()


def test_pictures_show_walls_and_trajectories():
    maze = WallMaze(ROOM, (30, 40), (80, 40))
    empty = wall_maze_picture(maze, scale=2.0)
    assert empty.shape[:2] == (2 * (85 + 8), 2 * (105 + 8))
    rows, columns = np.argwhere(empty.max(axis=2) < 80).T  # dark pixels are wall (or start ring)
    assert (rows.min(), columns.min()) == pytest.approx((2 * 8, 2 * 8), abs=2)
    trajectory = [(20, 70), (90, 70)]
    red = wall_maze_picture(maze, [trajectory], colors=(255, 0, 0), scale=2.0)
    changed = np.argwhere((red != empty).any(axis=2))
    assert np.abs(changed[:, 0] - 2 * (70 + 4)).max() <= 6
    assert (red[2 * (70 + 4), 2 * (50 + 4)] == (255, 0, 0)).all()
    faint = wall_maze_picture(maze, [trajectory], colors=(255, 0, 0), opacity=0.5, scale=2.0)
    assert faint[2 * (70 + 4), 2 * (50 + 4)] == pytest.approx((255, 128, 128), abs=3)
    for bad in ({"trajectories": [[1, 2, 3]]}, {"opacity": 0}, {"colors": [(0, 0, 0)] * 2}):
        with pytest.raises(ValueError, match="expected"):
            wall_maze_picture(maze, **bad)
