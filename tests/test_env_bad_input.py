"""Bad input that used to be accepted, to crash, or to be refused without saying what was expected."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from every_environment import IDS, assert_same
from gym_safemaze import robot
from gym_safemaze.ascii_maze import load_maze
from gym_safemaze.wall_maze import WallMaze, path_distance, wall_distance

HARD_MAZE, PARITY = "safemaze/BreadcrumbHardMaze-v0", "safemaze/RecurrentParity-v0"
ROOM = [(5, 5, 105, 5), (105, 5, 105, 85), (105, 85, 5, 85), (5, 85, 5, 5)]
PLACES = {"start": (30, 40), "goal": (80, 40)}


def posts(length: float) -> list[tuple[float, float, float, float]]:
    """A box of posts, 3 units apart and so dense enough for the path, each so long."""
    along = [3.0 * number + 5.0 for number in range(34)]
    return [
        post
        for at in along
        for post in (
            (at, 5.0, at + length, 5.0),
            (at, 104.0, at + length, 104.0),
            (5.0, at, 5.0 + length, at),
            (104.0, at, 104.0 + length, at),
        )
    ]


@pytest.mark.parametrize("length", [1e-9, 1e-7])
def test_walls_that_vanish_in_float32_are_refused(length):
    with pytest.raises(ValueError, match=r"length in float32, got \(5.0, 5.0, 5.0.*in wall 0"):
        gym.make(HARD_MAZE, walls=posts(length), **PLACES)


def test_walls_shorter_than_float32_can_square_are_refused():
    with pytest.raises(ValueError, match=r"length in float32, .* in wall 4"):
        gym.make(HARD_MAZE, walls=[*ROOM, (0, 0, 1e-30, 0)], **PLACES)


@settings(max_examples=20, deadline=None)
@given(exponent=st.floats(-7.5, -3.0), heading=st.integers(0, 359))
def test_posts_that_are_accepted_stop_the_robot(exponent, heading):
    try:
        env = gym.make(HARD_MAZE, walls=posts(10**exponent), heading=heading, **PLACES).unwrapped
    except ValueError:
        return
    env.reset()
    info = [env.step((0.5, 1.0))[4] for _ in range(120)][-1]
    assert np.isfinite(info["fitness"])
    assert wall_distance(env.lanes.maze, *info["behavior"]) >= robot.RADIUS - 1e-4
    assert (info["behavior"] > 5).all() and (info["behavior"] < 105).all()


def test_a_robot_outside_the_grid_reads_its_border():
    lanes = np.zeros(3, dtype=robot.LANE)
    lanes["position"] = [(-500, 3), (4000, 2), (2, 1e6)]
    fitness = np.arange(20.0).reshape(4, 5)
    frames, rewards, over = np.zeros((3, 1, 11), np.float32), np.zeros(3), np.zeros(3, dtype=bool)
    walls = robot.wall_table(np.array(ROOM))
    actions = np.zeros((3, 2), np.float32)
    robot.run(lanes, np.ones(3, bool), actions, 0, 9, False, walls, 1.0, 1.0, fitness, frames, rewards, over)
    np.testing.assert_array_equal(lanes["fitness"], [fitness[0, 3], fitness[3, 2], fitness[2, 4]])


def test_walls_are_checked_as_the_robot_meets_them():
    walls = WallMaze([*ROOM, (10.1, 20.1, 30.1, 20.3)], (60, 40), (80, 40)).walls
    np.testing.assert_array_equal(walls, np.float32(walls))


@pytest.mark.parametrize(
    "walls", [[(5, 5, 5000, 5), (5, 5, 5, 5000)], [(0, 0, 1e300, 0)], [(0, 0, 1e8, 0)], [(1, 1, 1e39, 1e39)]]
)
def test_too_large_a_wall_maze_is_refused(walls):
    with pytest.raises(ValueError, match="at most 4000000 grid points, got walls as far as"):
        gym.make(HARD_MAZE, walls=walls, **PLACES)


def test_too_large_a_drawing_is_refused():
    row = "#" * 1000
    with pytest.raises(ValueError, match="at most 250000 squares, got 300 rows of 1000 columns"):
        load_maze([row] * 300)


def test_ten_thousand_walls_are_each_looked_at_where_they_are():
    rng = np.random.default_rng(0)
    extra = [(x, y, x + 5, y + 3) for x, y in rng.uniform(400, 900, (10_000, 2))]
    box = [(5, 5, 950, 5), (950, 5, 950, 950), (950, 950, 5, 950), (5, 950, 5, 5)]
    maze = WallMaze(box + extra, (30, 40), (80, 40))
    distance = path_distance(maze)
    x, y = rng.integers(380, 920, (2, 200))
    blocked = wall_distance(maze, x, y) < 2.0
    assert 20 < blocked.sum() < 180
    assert np.isinf(distance[x[blocked], y[blocked]]).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 110, width=32)] * 4), max_size=6),
    st.tuples(st.integers(20, 90), st.integers(20, 70)),
)
def test_free_places_are_those_two_units_from_every_wall(extra, goal):
    """Against the distance of every place to every wall; reachable places are compared in test_hard_maze."""
    try:
        maze = WallMaze([*ROOM, *extra], goal, goal)
        distance = path_distance(maze)
    except ValueError:
        return
    width, height = distance.shape
    free = wall_distance(maze, *np.mgrid[0:width, 0:height]) >= 2.0
    reached = np.isfinite(distance)
    assert not (reached & ~free).any()
    beside = np.zeros_like(reached)
    beside[1:] |= reached[:-1]
    beside[:-1] |= reached[1:]
    beside[:, 1:] |= reached[:, :-1]
    beside[:, :-1] |= reached[:, 1:]
    assert (reached | ~(beside & free)).all()


@pytest.mark.parametrize("name", ["secret.txt", "secret wall.txt"])
@pytest.mark.parametrize("env_id", [name for name in IDS if name != PARITY])
def test_nothing_of_a_file_that_is_no_maze_is_shown(env_id, name, tmp_path):
    file = tmp_path / name
    file.write_text("user:hunter2\nwall: hunter3\nS #### hunter4\n")
    with pytest.raises(ValueError, match="secret") as error:
        gym.make(env_id, maze=str(file))
    assert "hunter" not in str(error.value)


@pytest.mark.parametrize("env_id", [name for name in IDS if name != PARITY])
def test_what_is_no_readable_file_is_refused(env_id, tmp_path):
    binary, huge = tmp_path / "binary", tmp_path / "huge"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with huge.open("wb") as file:
        file.truncate(20_000_000)
    for maze, message in (
        (str(binary), "binary': it is not text"),
        (str(huge), "at most 10000000 bytes, got 20000000"),
        (str(tmp_path), "expected a maze file or one of"),
        ("x" * 5000, "expected a maze file or one of"),
        ("a\0b", "expected a maze file or one of"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            gym.make(env_id, maze=maze)
        assert len(str(error.value)) < 500


SEEDS = [1.5, "7", [1], -1, object()]


@pytest.mark.parametrize("env_id", IDS)
def test_refused_resets_say_what_was_expected_and_keep_the_seed(env_id):
    env = gym.make(env_id).unwrapped
    env.reset(seed=3)
    before, state = env.lanes.info(), env.np_random.bit_generator.state
    envs = gym.make_vec(env_id, num_envs=3)
    envs.reset(seed=3)
    for made in (env, envs):
        for seed in SEEDS:
            with pytest.raises(ValueError, match=r"expected .*seed"):
                made.reset(seed=seed)
        for options in (5, "maze", ["maze"], {5: 1}):
            with pytest.raises(ValueError, match="reset options"):
                made.reset(seed=9, options=options)
    assert env.np_random_seed == 3 and envs.np_random_seed == (3, 4, 5)
    assert env.np_random.bit_generator.state == state
    assert_same(env.lanes.info(), before)


OPTIONS = [
    (HARD_MAZE, "start", ["a", ("a", "b"), (1j, 2), (10**400, 1), None, [(1, 2), 3], {"x": 1}]),
    (HARD_MAZE, "heading", ["north", 1j, 10**400, [[1]]]),
    ("safemaze/TopdownMaze-v0", "start", ["a", (1j, 2), (10**400, 1), "12"]),
    ("safemaze/TopdownMaze-v0", "maze", [5, [1, 2], None]),
    ("safemaze/FirstPersonMaze-v0", "position", ["a", (1j, 2), (10**400, 1), object()]),
    ("safemaze/FirstPersonMaze-v0", "heading", ["a", 1j, 10**400, np.inf]),
    ("safemaze/FirstPersonMaze-v0", "maze", [5, b"figure_5a"]),
    (PARITY, "sequence", ["0101", 5, [0, 1, 2, 1], [0.0, 1.0, 1.0, 0.0]]),
    (PARITY, "number", ["a", 1.5, 16, -1, 10**400, [1, 2]]),
]


@pytest.mark.parametrize(("env_id", "name", "values"), OPTIONS)
def test_refused_options_say_what_was_expected_and_change_nothing(env_id, name, values):
    for made in (gym.make(env_id).unwrapped, gym.make_vec(env_id, num_envs=3)):
        made.reset(seed=3)
        made.step(made.action_space.sample())
        before, seed = made.lanes.info(), made.np_random_seed
        generator = made.np_random
        for value in values:
            # a maze that is no maze at all has always been a TypeError
            with pytest.raises((ValueError, TypeError), match=f"expected (option '{name}'|a maze|heading)"):
                made.reset(seed=9, options={name: value})
            assert made.np_random_seed == seed and made.np_random == generator
            assert_same(made.lanes.info(), before)


ARGUMENTS = [
    (HARD_MAZE, {"max_steps": 2**63}, "max_steps to be at most 2147483647"),
    (HARD_MAZE, {"frame_skip": 2**31}, "frame_skip to be at most"),
    (HARD_MAZE, {"start": "a"}, r"start of shape \(2,\), x and y, got 'a'"),
    (HARD_MAZE, {"goal": (1j, 2)}, "goal of shape"),
    (HARD_MAZE, {"heading": "north"}, "heading"),
    (HARD_MAZE, {"walls": [["a"] * 4]}, "walls of shape"),
    ("safemaze/TopdownMaze-v0", {"max_steps": 2**63}, "max_steps to be at most"),
    ("safemaze/FirstPersonMaze-v0", {"max_steps": 2**63}, "max_steps to be at most"),
    ("safemaze/FirstPersonMaze-v0", {"texture": "brick"}, "texture of shape.*got 'brick'"),
    ("safemaze/FirstPersonMaze-v0", {"wall_color": "red"}, "wall_color as red.*got 'red'"),
    ("safemaze/FirstPersonMaze-v0", {"move_speed": "fast"}, "move_speed"),
    (PARITY, {"length": 2**63}, "length to be at most"),
]


@pytest.mark.parametrize(("env_id", "arguments", "message"), ARGUMENTS)
def test_refused_arguments_say_what_was_expected(env_id, arguments, message):
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        gym.make(env_id, **arguments)
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        gym.make_vec(env_id, num_envs=2, **arguments)


VARIANTS: list[tuple[str, dict]] = [(env_id, {}) for env_id in IDS] + [
    (PARITY, {"action_mode": "probabilities"})
]


@pytest.mark.parametrize(("env_id", "arguments"), VARIANTS)
def test_actions_that_are_no_numbers_are_refused(env_id, arguments):
    for made in (gym.make(env_id, **arguments).unwrapped, gym.make_vec(env_id, num_envs=2, **arguments)):
        made.reset(seed=0)
        before = made.lanes.info()
        good = np.asarray(made.action_space.sample())
        bad = [good.astype(str), good.astype(complex), good.astype(object), None, "0"]
        if isinstance(made.action_space, gym.spaces.Box):
            holed = good.astype(np.float64)
            holed.flat[-1] = np.nan
            bad.append(holed)
        for action in bad:
            with pytest.raises(ValueError, match=r"expected (integer )?actions"):
                made.step(action)
        assert_same(made.lanes.info(), before)


@pytest.mark.parametrize("action_mode", [{"id": HARD_MAZE}, {"id": PARITY, "action_mode": "probabilities"}])
def test_nan_names_its_lane_and_infinite_actions_are_clamped(action_mode):
    envs = gym.make_vec(**action_mode, num_envs=4)
    envs.reset(seed=0)
    actions = np.full((4, 2), [np.inf, -np.inf], dtype=np.float32)
    envs.step(actions)
    actions[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"without NaN, got \[ *inf +nan\] in lane 2"):
        envs.step(actions)


FIRST_PERSON = "safemaze/FirstPersonMaze-v0"


@pytest.mark.parametrize(
    ("env_id", "setting", "value", "expected"),
    [
        (HARD_MAZE, "reward", np.zeros(3), "reward to be one of"),
        (HARD_MAZE, "record_frames", np.zeros(0), "record_frames to be True or False"),
        (HARD_MAZE, "record_frames", "no", "record_frames to be True or False, got 'no'"),
        (FIRST_PERSON, "rgb", np.ones(2), "rgb to be True or False"),
        (PARITY, "order", np.zeros(2), "order to be one of"),
        (PARITY, "action_mode", [["a"]], "action_mode to be one of"),
    ],
)
def test_what_is_no_choice_at_all_is_refused_in_our_words(env_id, setting, value, expected):
    with pytest.raises(ValueError, match=f"expected {expected}"):
        gym.make(env_id, **{setting: value})


def test_rows_of_different_length_are_refused_in_our_words():
    rows = [[1], [1, 2]]
    env = gym.make(PARITY).unwrapped
    with pytest.raises(ValueError, match=r"expected option 'sequence' of shape"):
        env.reset(options={"sequence": rows})
    with pytest.raises(ValueError, match=r"expected option 'number' to be integers"):
        env.reset(options={"number": rows})
    env.reset()
    with pytest.raises(ValueError, match=r"expected actions of shape \(\), got"):
        env.step(rows)


def test_an_array_that_is_no_row_of_seeds_is_refused_in_our_words():
    envs = gym.make_vec(HARD_MAZE, num_envs=2)
    with pytest.raises(ValueError, match="expected an integer seed or one seed per lane"):
        envs.reset(seed=np.array(None))
    np.testing.assert_array_equal(envs.reset(seed=np.array([3, 4]))[0], envs.reset(seed=[3, 4])[0])


DRAWN = "#####\n#S.G#\n#####"


@pytest.mark.parametrize("env_id", ["safemaze/BreadcrumbHardMaze-v0", "safemaze/TopdownMaze-v0"])
@pytest.mark.parametrize(
    ("text", "message"),
    [("x", "has no start 'S'"), ("", "the maze is empty"), ("#SG#", "the maze is not closed")],
)
def test_the_text_of_a_maze_file_is_never_a_name(env_id, text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text(DRAWN)
    (tmp_path / "mine.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        gym.make(env_id, maze="mine.txt")


@pytest.mark.parametrize("env_id", ["safemaze/BreadcrumbHardMaze-v0", "safemaze/TopdownMaze-v0"])
@pytest.mark.parametrize(
    "drawing",
    ["\ufeff" + DRAWN, DRAWN.replace("\n", "\r"), DRAWN.replace("\n", "\f")],
    ids=["mark", "cr", "ff"],
)
def test_a_drawing_is_read_alike_from_a_file_and_from_a_string(env_id, drawing, tmp_path):
    (tmp_path / "mine.txt").write_bytes(drawing.encode())
    for maze in (drawing, str(tmp_path / "mine.txt")):
        assert gym.make(env_id, maze=maze).reset(seed=1)


@pytest.mark.parametrize("given", [{"dtype": torch.bfloat16}, {"device": "meta"}])
def test_of_a_tensor_that_numpy_cannot_take_torchs_reason_is_told(given):
    env = gym.make("safemaze/BreadcrumbHardMaze-v0").unwrapped
    env.reset(seed=1)
    with pytest.raises(
        ValueError, match=r"expected actions of shape \(2,\), got .*\((Got unsupported|Cannot copy|can)"
    ):
        env.step(torch.zeros(2, **given))
