import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_safemaze  # noqa: F401
from gym_safemaze.ascii_maze import load_maze

ID = "safemaze/TopdownMaze-v0"
MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1), 4: (0, 0)}  # north, south, west, east, nothing
CORRIDOR = ["#####", "#Sxx#", "#####"]


def make(**arguments):
    return gym.make(ID, **arguments).unwrapped


def way_along(maze):
    """The actions that walk the path."""
    steps = [tuple(step) for step in np.diff(maze.path, axis=0)]
    return [next(action for action, move in MOVES.items() if move == step) for step in steps]


def naive_picture(rows, row, column):
    """Nine blocks of 21 pixels, cut from the drawing; the last row and column of pixels continue them."""
    around = np.array([list(rows[i][column - 1 : column + 2]) for i in (row - 1, row, row + 1)])
    blocks = np.kron(np.where(around == "#", 0, 255), np.ones((21, 21), dtype=int))
    return np.pad(blocks, (0, 1), mode="edge").astype(np.uint8)[..., np.newaxis]


def explore(maze):
    """What the environment shows on each reachable square, and where it goes from there on each action."""
    squares = [(int(row), int(column)) for row, column in np.argwhere(maze.reachable)]
    envs = gym.make_vec(ID, num_envs=len(squares), maze=list(maze.rows), autoreset_mode="Disabled")
    views, moves = {}, {}
    for action in range(5):
        observations, _ = envs.reset(options={"start": np.array(squares)})
        behavior = envs.step(np.full(len(squares), action))[4]["behavior"]
        for square, picture, end in zip(squares, observations, behavior, strict=True):
            views[square] = picture.tobytes()
            moves[square, action] = (int(end[0]), int(end[1]))
    return views, moves


def memoryless_policies(maze):
    """The squares visited by every deterministic policy that maps views to actions.

    Policies that differ only in views they never meet behave alike, so a view is given each action in turn
    when a policy first meets it. A policy that comes to a square again is in a cycle and visits nothing new.

    Yields:
        The visited squares, and how many of all the policies behave so.
    """
    views, moves = explore(maze)
    number_of_views = len(set(views.values()))

    def walk(policy, square, visited):
        while views[square] in policy:
            square = moves[square, policy[views[square]]]
            if square in visited:
                yield visited, 5 ** (number_of_views - len(policy))
                return
            visited = visited | {square}
        for action in range(5):
            yield from walk({**policy, views[square]: action}, square, visited)

    yield from walk({}, maze.start, frozenset([maze.start]))


def test_the_papers_maze_has_15_views_and_five_crossings_that_look_alike():
    views, _ = explore(load_maze("figure_5a"))
    assert len(views) == 65
    assert len(set(views.values())) == 15
    assert len({views[5, column] for column in (3, 5, 7, 9, 11)}) == 1


def test_no_memoryless_policy_touches_the_whole_path():
    maze = load_maze("figure_5a")
    path = {tuple(square) for square in maze.path[1:].tolist()}
    policies, most = 0, 0
    for visited, count in memoryless_policies(maze):
        policies += count
        most = max(most, len(path & visited))
    assert policies == 5**15  # every one has been looked at
    assert most < len(path)


def test_where_memory_is_not_needed_a_memoryless_policy_is_found():
    maze = load_maze("t_maze")
    path = {tuple(square) for square in maze.path[1:].tolist()}
    assert any(path <= visited for visited, _ in memoryless_policies(maze))


def test_the_shown_path_solves_the_maze_within_40_steps():
    env = make()
    env.reset()
    way = way_along(env.lanes.maze)
    assert len(way) == 22 <= 40
    for step, action in enumerate(way, start=1):
        _, reward, terminated, truncated, info = env.step(action)
        assert reward == 1.0 and info["fitness"] == step and not truncated
        assert terminated == info["solved"] == (step == 22)


@pytest.mark.parametrize("name", ["figure_5a", "t_maze", "loops"])
def test_pictures_show_the_nine_blocks_around(name):
    maze = load_maze(name)
    views, _ = explore(maze)
    for (row, column), view in views.items():
        assert view == naive_picture(maze.rows, row, column).tobytes()


def test_actions_move_one_square_and_walls_stop():
    maze = load_maze("loops")
    _, moves = explore(maze)
    for ((row, column), action), end in moves.items():
        south, east = MOVES[action]
        ahead = (row + south, column + east)
        assert end == ((row, column) if maze.walls[ahead] else ahead)


def test_the_episode_ends_after_max_steps_or_when_solved():
    for max_steps in (1, 7, 40):
        env = make(max_steps=max_steps)
        env.reset()
        ends = [env.step(4)[2] for _ in range(max_steps)]
        assert ends == [False] * (max_steps - 1) + [True]
    env = make(maze=CORRIDOR)
    env.reset()
    assert [env.step(3)[2] for _ in range(2)] == [False, True]


def test_squares_count_once_and_in_any_order():
    env = make()
    env.reset(options={"start": (11, 12)})
    rewards = [env.step(action)[1] for action in (2, 3, 3, 3, 4, 2)]
    assert rewards == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def test_start_option_touches_the_square_it_names():
    env = make()
    _, info = env.reset(options={"start": (5, 4)})
    assert info["fitness"] == 1.0 and info["behavior"].tolist() == [5, 4]
    rewards = [env.step(2)[1] for _ in range(3)]
    assert rewards == [1.0, 1.0, 0.0]  # west to the maze's start, which does not count
    _, info = env.reset()
    assert info["fitness"] == 0.0 and info["behavior"].tolist() == [5, 1]


def test_lanes_can_start_on_squares_of_their_own():
    envs = gym.make_vec(ID, num_envs=3)
    starts = np.array([(5, 1), (4, 3), (9, 13)])
    observations, info = envs.reset(options={"start": starts})
    assert np.array_equal(info["behavior"], starts)
    rows = load_maze("figure_5a").rows
    assert all(np.array_equal(o, naive_picture(rows, *s)) for o, s in zip(observations, starts, strict=True))


@pytest.mark.parametrize("start", [(0, 0), (6, 1), (11, 2), (-1, 3), (5, 99), (5.5, 1), (np.nan, 1)])
def test_a_start_that_is_no_free_square_is_refused_and_changes_nothing(start):
    env = make()
    env.reset()
    env.step(3)
    before = env.lanes.info()
    with pytest.raises(ValueError, match="start"):
        env.reset(options={"start": start})
    assert all(np.array_equal(before[key], value) for key, value in env.lanes.info().items())


@pytest.mark.parametrize("start", [5, (1, 2, 3), [[1, 1], [1, 2]]])
def test_a_start_of_another_shape_is_refused(start):
    with pytest.raises(ValueError, match="option 'start' of shape"):
        make().reset(options={"start": start})


def test_another_maze_on_reset_stays():
    env = make()
    env.reset(options={"maze": CORRIDOR})
    env.step(3)
    assert env.step(3)[4]["solved"]
    _, info = env.reset()
    assert info["behavior"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="not closed"):
        env.reset(options={"maze": ["#####", "#Sxx.", "#####"]})
    env.reset()
    assert env.step(3)[4]["fitness"] == 1.0
    assert env.render_mode is None and make(maze="t_maze").reset()[1]["behavior"].tolist() == [4, 3]


def test_some_lanes_cannot_change_the_maze_of_all():
    envs = gym.make_vec(ID, num_envs=2)
    envs.reset()
    with pytest.raises(ValueError, match=r"maze.*reset_mask"):
        envs.reset(options={"maze": "t_maze", "reset_mask": np.array([True, False])})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 2.5}, "max_steps"),
        ({"max_steps": True}, "max_steps"),
        ({"maze": "nowhere"}, "'nowhere'"),
        ({"maze": ["###", "#x#", "###"]}, "no start"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    for maker in (lambda: make(**arguments), lambda: gym.make_vec(ID, num_envs=2, **arguments)):
        with pytest.raises(ValueError, match=message):
            maker()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["figure_5a", "t_maze", "loops"]), st.integers(0, 2**32 - 1))
def test_random_walks_keep_to_the_rules(name, seed):
    """10 examples of 100 steps in 10 lanes: 10,000 steps."""
    maze = load_maze(name)
    envs = gym.make_vec(ID, num_envs=10, maze=name, max_steps=60)
    random = np.random.default_rng(seed)
    observations, info = envs.reset(seed=seed)
    touched, before, over = [set() for _ in range(10)], info["fitness"], np.zeros(10, dtype=bool)
    for _ in range(100):
        observations, rewards, terminated, truncated, info = envs.step(random.integers(0, 5, 10))
        assert not truncated.any() and set(info) == {
            prefix + key for key in ("fitness", "solved", "behavior", "steps") for prefix in ("", "_")
        }
        for lane, (row, column) in enumerate(info["behavior"].astype(int).tolist()):
            touched[lane] = set() if over[lane] else touched[lane]
            if maze.order[row, column] > 0:
                touched[lane].add((row, column))
            assert maze.reachable[row, column]
            assert np.array_equal(observations[lane], naive_picture(maze.rows, row, column))
            assert info["fitness"][lane] == len(touched[lane])
            assert info["solved"][lane] == (len(touched[lane]) == len(maze.path) - 1)
            assert terminated[lane] == (info["solved"][lane] or info["steps"][lane] == 60)
        assert np.isin(observations, (0, 255)).all()
        assert np.array_equal(rewards, np.where(over, 0.0, info["fitness"] - before))
        assert (rewards >= 0).all()
        before, over = info["fitness"], terminated
