import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gym_safemaze  # noqa: F401
from gym_safemaze.ascii_maze import load_maze
from gym_safemaze.drawing import TRAJECTORY
from gym_safemaze.raycaster import draw_views
from gym_safemaze.walker import BACKWARD, FORWARD, GAP, LEFT, RIGHT, STAY
from watch_first_person import drive, main

ID = "safemaze/FirstPersonMaze-v0"
ROOM = ["#######", "#.....#", "#.....#", "#Sxxxx#", "#.....#", "#.....#", "#######"]
HALL = ["#######", "#Sxx..#", "#.....#", "#.....#", "#.....#", "#.....#", "#######"]
CORNER = ["#####", "#Sxx#", "###x#", "###x#", "#####"]
#: The long way round is the correct path; the short way leads to its end at once.
DETOUR = ["#####", "#Sxx#", "#.#x#", "#xxx#", "#####"]


#: The setting in which mazes are short drives; docs/first_person_maze.md has it.
EASY = {"move_speed": 0.125, "turn_speed": 5.625, "start_angle": 0}


def make(**arguments):
    return gym.make(ID, **EASY | arguments).unwrapped


def distance_to_walls(walls, x, y):
    """Euclidean distance from a point to the nearest wall square."""
    rows, columns = np.nonzero(walls)
    aside = np.maximum(np.maximum(columns - x, x - columns - 1), 0)
    below = np.maximum(np.maximum(rows - y, y - rows - 1), 0)
    return np.hypot(aside, below).min()


@pytest.mark.parametrize("maze, spare", [("figure_5a", 150), ("loops", 50), ("t_maze", 300)])
def test_a_scripted_driver_finishes_the_path_with_frames_to_spare(maze, spare):
    env = make(maze=maze)
    *_, info = drive(env)
    assert info["solved"] and info["steps"] <= 400 - spare
    assert info["fitness"] == len(env.lanes.maze.path) - 1 - 0.5


def test_the_default_leaves_a_driver_in_the_papers_maze_no_frame_to_spare():
    """It begins with a turn: what it sees at first is a wall."""
    env = gym.make(ID).unwrapped
    infos = list(drive(env))
    assert infos[-1]["solved"] and infos[-1]["steps"] == 400
    assert [info["heading"] for info in infos[:5]] == [270, 290, 310, 330, 350]  # four frames of 5 degrees
    assert infos[5]["behavior"][0] == pytest.approx(1.5 + 4 * 0.08 * math.cos(math.radians(10)))
    *_, info = drive(gym.make(ID, maze="loops", max_steps=600).unwrapped)
    assert info["solved"]


def test_the_drive_can_be_watched_as_an_animation(tmp_path, monkeypatch, capsys):
    file = tmp_path / "drive.gif"
    monkeypatch.setattr("sys.argv", ["watch_first_person.py", str(file), "--maze", "t_maze", "--bricks"])
    main()
    assert "solved after" in capsys.readouterr().out
    with Image.open(file) as animation:
        assert animation.n_frames > 10 and max(animation.size) > 300
    for wrong in ([str(tmp_path)], [str(file), "--maze", "nowhere"]):
        monkeypatch.setattr("sys.argv", ["watch_first_person.py", *wrong])
        with pytest.raises(SystemExit, match="2"):
            main()


@pytest.mark.parametrize("action", [LEFT, FORWARD, STAY])
def test_no_constant_action_finishes_the_path(action):
    env = make()
    env.reset()
    decisions, over = 0, False
    while not over:
        _, _, over, truncated, info = env.step(action)
        decisions += 1
    assert decisions == 100 and info["steps"] == 400 and not truncated
    assert not info["solved"] and info["fitness"] < 13


def test_the_start_looks_along_the_path():
    for rows, heading in (
        (CORNER, 0.0),
        (["####", "#S.#", "#x.#", "####"], 90.0),
        (["####", "#xS#", "####"], 180.0),
        (["####", "#.x#", "#.S#", "####"], 270.0),
    ):
        _, info = make(maze=rows).reset()
        row, column = load_maze(rows).start
        assert info["heading"] == heading and info["behavior"].tolist() == [column + 0.5, row + 0.5]
        for angle in (-90, 90.0, 270):
            env = make(maze=rows, start_angle=angle)
            _, info = env.reset()
            assert info["heading"] == (heading + angle) % 360
            _, info = env.reset(options={"heading": 12.0})
            assert info["heading"] == 12.0


def test_turning_right_is_clockwise_on_the_map_and_moves_the_picture_left():
    env = make(frame_skip=1)
    start, _ = env.reset(options={"heading": 350.0})
    for action, expected in ((RIGHT, 355.625), (RIGHT, 1.25), (LEFT, 355.625), (LEFT, 350.0), (STAY, 350.0)):
        picture, *_, info = env.step(action)
        assert info["heading"] == pytest.approx(expected)
        assert info["behavior"].tolist() == [1.5, 5.5]
    assert np.array_equal(picture, start)
    turned, *_ = env.step(RIGHT)
    # 5.6 degrees are about 5 columns in the middle; shifted back, the two pictures agree best
    apart = {
        shift: np.abs(
            turned[:, 20:44, 0].astype(int) - start[:, 20 + shift : 44 + shift, 0].astype(int)
        ).mean()
        for shift in range(-9, 10)
    }
    assert 3 <= min(apart, key=apart.get) <= 6


def test_walking_is_as_fast_as_asked_and_rewarded_by_the_distance():
    env = make(maze=ROOM, move_speed=0.1, frame_skip=3)
    env.reset()
    for step, action in enumerate([FORWARD, FORWARD, BACKWARD, FORWARD, FORWARD]):
        _, reward, _, _, info = env.step(action)
        assert reward == pytest.approx([0.3, 0.3, 0.0, 0.0, 0.3][step])
    assert info["behavior"].tolist() == pytest.approx([1.5 + 0.9, 3.5])
    assert info["fitness"] == pytest.approx(0.9)


def test_fitness_follows_the_path_round_corners_without_falling():
    env = make(maze=CORNER, frame_skip=1)
    seen = [info["fitness"] for info in drive(env)]
    assert seen[0] == 0.0 and seen[-1] == 3.5
    assert np.diff(seen).min() >= 0 and np.diff(seen).max() < 0.5


@pytest.mark.parametrize("heading", np.arange(0, 360, 30).tolist())
def test_the_body_stops_where_it_touches_a_wall_and_slides_along_it(heading):
    env = make(maze=HALL, body_radius=0.3)
    env.reset(options={"heading": heading, "position": (3.5, 3.5)})
    for _ in range(30):
        *_, info = env.step(FORWARD)
    x, y = info["behavior"]
    towards_x, towards_y = (
        round(math.cos(math.radians(heading)), 9),
        round(math.sin(math.radians(heading)), 9),
    )
    assert x == pytest.approx(3.5 if not towards_x else 5.7 if towards_x > 0 else 1.3, abs=1e-5)
    assert y == pytest.approx(3.5 if not towards_y else 5.7 if towards_y > 0 else 1.3, abs=1e-5)
    *_, info = env.step(BACKWARD)
    assert math.dist((x, y), info["behavior"]) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("speed", [0.01, 0.125, 0.5, 0.999])
@pytest.mark.parametrize("radius", [0.001, 0.2, 0.499])
def test_no_speed_carries_the_body_through_or_into_a_wall(speed, radius):
    maze = load_maze("loops")
    envs = gym.make_vec(
        ID,
        num_envs=20,
        maze="loops",
        frame_skip=1,
        max_steps=300,
        move_speed=speed,
        turn_speed=17.0,
        body_radius=radius,
    )
    envs.reset(options={"heading": np.arange(20) * 18.0})
    random = np.random.default_rng(0)
    for _ in range(300):
        actions = random.choice([LEFT, RIGHT, FORWARD, FORWARD, FORWARD, BACKWARD], 20)
        envs.step(actions)
        for x, y in envs.lanes.state["pose"][:, :2]:
            assert maze.reachable[int(y), int(x)]
            assert distance_to_walls(maze.walls, x, y) >= radius


def test_only_the_correct_path_counts_where_a_shortcut_leads_to_its_end():
    maze = load_maze(DETOUR)
    assert tuple(maze.path[-1]) == (3, 1) and maze.reachable[2, 1]
    env = make(maze=DETOUR)
    env.reset(options={"heading": 90.0})  # look down the shortcut
    for _ in range(10):
        _, reward, over, _, info = env.step(FORWARD)
        assert reward == 0.0 and not over
    assert info["behavior"][1] > 3.0  # it stands on the last square
    assert not info["solved"] and info["fitness"] == 0.0
    *_, info = drive(make(maze=DETOUR))
    assert info["solved"]


def test_the_square_at_a_corner_counts_for_those_who_cut_it():
    maze = ["#####", "#Sx##", "##x##", "##x##", "#####"]
    env = gym.make(ID, maze=maze, move_speed=0.667, turn_speed=24.83, frame_skip=1, start_angle=0).unwrapped
    env.reset(options={"position": (1.62, 1.7), "heading": 27.0})
    *_, info = env.step(2)
    assert info["behavior"].astype(int).tolist() == [2, 2]  # from square (1, 1) to (2, 2), past (1, 2)
    assert env.lanes.state["reached"].tolist() == [2]
    env.lanes.state["pose"][0, 2] = 90.0
    over = False
    while not over:
        *_, over, _, info = env.step(2)
    assert info["solved"]


@pytest.mark.parametrize("maze", [["#####", "#Sx##", "#.x##", "#####"], ["#####", "#S.##", "#xx##", "#####"]])
def test_a_corner_cut_counts_the_same_in_a_mirrored_maze(maze):
    env = gym.make(ID, maze=maze, frame_skip=1, start_angle=0).unwrapped
    env.reset(options={"position": (1.97, 1.97), "heading": 45.0})
    *_, info = env.step(2)
    assert info["behavior"].astype(int).tolist() == [2, 2]
    assert info["solved"] and env.lanes.state["reached"].tolist() == [2]


def test_the_widest_body_that_is_accepted_walks_a_corridor():
    widest = np.nextafter(0.5 - GAP, 0)
    env = gym.make(ID, maze=["########", "#Sxxxxx#", "########"], body_radius=widest, start_angle=0)
    env.reset()
    places = []
    for action in [2, 2, 2, 2, 1, 2, 2, 0, 2, 2]:
        *_, over, _, info = env.step(action)
        places.append(info["behavior"][0])
    assert (np.diff([1.5, *places]) >= 0).all() and info["solved"] == over
    with pytest.raises(ValueError, match=r"body_radius to be a number between 0 and 0\.499999"):
        gym.make(ID, body_radius=0.4999995)


def test_frame_skip_holds_an_action_for_so_many_frames():
    random = np.random.default_rng(1)
    held, every = make(frame_skip=4, max_steps=30), make(frame_skip=1, max_steps=30)
    held.reset()
    every.reset()
    for decision in range(8):
        action = int(random.integers(5))
        picture, reward, over, _, info = held.step(action)
        total = 0.0
        for _ in range(4 if decision < 7 else 2):  # 30 frames are 7 decisions of 4 and one of 2
            picture_of_frame, part, over_of_frame, _, info_of_frame = every.step(action)
            total += part
        assert over == over_of_frame == (decision == 7)
        assert np.array_equal(picture, picture_of_frame) and reward == pytest.approx(total)
        assert info["steps"] == info_of_frame["steps"]
        assert np.array_equal(info["behavior"], info_of_frame["behavior"])


def test_the_episode_ends_in_the_frame_that_enters_the_last_square():
    env = make(maze=["#####", "#Sxx#", "#####"], move_speed=0.11)
    env.reset()
    infos = [env.step(FORWARD)[4] for _ in range(4)]
    assert [info["steps"] for info in infos] == [4, 8, 12, 14]  # 1.5 squares are 14 frames
    assert [info["solved"] for info in infos] == [False, False, False, True]
    assert infos[-1]["fitness"] == 1.5 and infos[-1]["behavior"][0] == pytest.approx(1.5 + 14 * 0.11)


def test_the_picture_is_what_the_raycaster_draws_at_the_pose():
    env = make()
    env.reset()
    for action in (FORWARD, RIGHT, FORWARD, LEFT):
        picture, *_ = env.step(action)
        expected = np.empty((1, 64, 64, 1), dtype=np.uint8)
        white, background = np.full((1, 1, 1), 255, np.float32), np.array([[0], [92]], np.uint8)
        draw_views(env.lanes.maze.walls, env.lanes.state["pose"].copy(), white, background, expected)
        assert np.array_equal(picture, expected[0])


def test_colours_and_textures_by_argument():
    colour, _ = make(rgb=True).reset()
    gray, _ = make().reset()
    assert colour.shape == (64, 64, 3) and make(rgb=True).observation_space.shape == (64, 64, 3)
    assert np.array_equal(colour, gray.repeat(3, axis=2))
    scenery = {"wall_color": (255, 0, 0), "floor_color": (1, 2, 3), "ceiling_color": (9, 8, 7)}
    painted, _ = make(rgb=True, **scenery).reset()
    assert painted[0, 32].tolist() == [9, 8, 7] and painted[-1, 32].tolist() == [1, 2, 3]
    wall = gray[..., 0] * (gray[..., 0] != 0) * (gray[..., 0] != 92)
    assert np.array_equal(painted[..., 0][wall > 0], wall[wall > 0])
    assert (painted[..., 1:][wall > 0] == 0).all()
    mixed, _ = make(wall_color=(255, 0, 0)).reset()  # in gray, a red wall is as bright as red is
    assert np.abs(mixed[..., 0][wall > 0] - 0.21 * wall[wall > 0]).max() <= 1
    striped, _ = make(texture=[[255, 0]]).reset()
    assert (striped == 0).sum() > (gray == 0).sum() + 100


@pytest.mark.parametrize(
    "maze",
    [
        ["#" * 130, "#S" + "x" * 127 + "#", "#" * 130],
        ["###", "#S#", *["#x#"] * 999, "###"],
        ["#" * 9000, "#S" + "x" * 8997 + "#", "#" * 9000],
        ["####", "#Sx#", "####"],
    ],
)
@pytest.mark.parametrize("name", ["TopdownMaze", "FirstPersonMaze", "BreadcrumbHardMaze"])
def test_pictures_of_long_mazes_are_no_longer_than_a_screen(name, maze):
    if name == "BreadcrumbHardMaze" and len(maze[0]) > 1000:
        return  # refused as too large for robots
    env = gym.make(f"safemaze/{name}-v0", maze=maze, render_mode="rgb_array")
    env.reset()
    height, width, _ = env.render().shape
    assert 200 <= max(height, width) <= 2048 + 64 * 6  # the walker's view is beside the map
    assert min(height, width) >= 16


def test_rendering_shows_the_view_beside_the_map():
    env = make(render_mode="rgb_array")
    picture, _ = env.reset()
    whole = env.render()
    zoom = len(whole) // 64
    shown = whole[(len(whole) - 64 * zoom) // 2 :][: 64 * zoom, : 64 * zoom]
    assert np.array_equal(shown[::zoom, ::zoom, :1], picture)
    chart = whole[:, 64 * zoom :].astype(int)
    square = chart.shape[1] / 15.8  # the map has a margin of 0.4 squares around its 15 columns
    for _ in range(3):
        _, _, _, _, info = env.step(FORWARD)
    changed = np.argwhere(np.abs(env.render()[:, 64 * zoom :] - chart).sum(axis=2) > 100)
    assert len(changed) > 50
    x, y = info["behavior"]
    rows, columns = changed.T / square - 0.4
    assert rows.min() > y - 0.5 and rows.max() < y + 0.5, "on the row walked"
    assert columns.min() > 1 and x < columns.max() < x + 1.5, "from the start to the nose"


def test_a_long_episode_draws_its_latest_positions():
    """As many as are kept: what was walked long ago, in another corner, is drawn no more."""
    env = make(maze=ROOM, frame_skip=1, max_steps=9000, render_mode="rgb_array")
    _, info = env.reset()
    start = info["behavior"].copy()

    def drawn_near_start() -> int:
        chart = env.render()
        chart = chart[:, len(chart) // 64 * 64 :]
        square = len(chart) / (len(ROOM) + 0.8)
        column, row = ((start + 0.4) * square).astype(int)
        near = chart[row - 3 : row + 4, column - 3 : column + 4]
        return int((near == TRAJECTORY).all(axis=2).sum())

    for action in [LEFT] * 16 + [FORWARD] * 12:
        env.step(action)
    assert drawn_near_start() > 0
    for step in range(1100):
        env.step((FORWARD, BACKWARD)[step % 2])
    assert drawn_near_start() == 0


@pytest.mark.parametrize(("heading", "expected"), [(-1e-20, 0), (360.0, 0), (-90.0, 270), (725.0, 5)])
def test_headings_are_from_0_to_less_than_360_degrees(heading, expected):
    _, info = make().reset(options={"heading": heading})
    assert info["heading"] == expected


def test_position_and_heading_options_last_for_one_episode():
    env = make()
    _, info = env.reset(options={"position": (11.5, 8.25), "heading": -90.0})
    assert info["behavior"].tolist() == [11.5, 8.25] and info["heading"] == 270.0
    assert info["fitness"] == pytest.approx(10 + 3 - 0.25)  # as far along the path as it stands
    _, info = env.reset()
    assert info["behavior"].tolist() == [1.5, 5.5] and info["fitness"] == 0.0
    envs = gym.make_vec(ID, num_envs=2)
    _, info = envs.reset(options={"position": np.array([(1.5, 5.5), (3.5, 4.5)]), "heading": 10.0})
    assert info["behavior"].tolist() == [[1.5, 5.5], [3.5, 4.5]] and info["heading"].tolist() == [10, 10]
    assert info["fitness"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"position": (0.5, 0.5)}, "inside a wall"),
        ({"position": (1.5, 99)}, "outside the maze"),
        ({"position": (-1.5, 5.5)}, "outside the maze"),
        ({"position": (np.nan, 5.5)}, "outside the maze"),
        ({"position": (1.1, 5.5)}, r"closer to a wall.*0\.2"),
        ({"position": (2.9, 4.9)}, "inside a wall"),
        ({"position": (3.1, 4.9)}, "closer to a wall"),
        ({"position": (1.5, 11.5)}, "outside the maze"),
        ({"position": 3.0}, "option 'position' of shape"),
        ({"heading": np.inf}, "heading"),
        ({"heading": [1.0, 2.0]}, "option 'heading' of shape"),
        ({"maze": ["#####", "#Sxx.", "#####"]}, "not closed"),
    ],
)
def test_bad_options_are_refused_and_change_nothing(options, message):
    env = make()
    env.reset()
    env.step(FORWARD)
    before = env.lanes.info()
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)
    assert all(np.array_equal(before[key], value) for key, value in env.lanes.info().items())


def test_another_maze_on_reset_stays():
    env = make()
    env.reset(options={"maze": "t_maze"})
    _, info = env.reset()
    assert info["behavior"].tolist() == [3.5, 4.5] and info["heading"] == 270.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"frame_skip": 0}, "frame_skip"),
        ({"max_steps": -1}, "max_steps"),
        ({"move_speed": 1.0}, "move_speed.*between 0 and 1, got 1.0"),
        ({"move_speed": 0}, "move_speed"),
        ({"move_speed": np.nan}, "move_speed"),
        ({"turn_speed": 180}, "turn_speed"),
        ({"turn_speed": "fast"}, "turn_speed"),
        ({"start_angle": 360}, "start_angle.*between -360 and 360, got 360"),
        ({"start_angle": np.nan}, "start_angle"),
        ({"body_radius": 0.5}, "body_radius"),
        ({"wall_color": (1, 2)}, "wall_color"),
        ({"floor_color": (0, 0, 256)}, "floor_color"),
        ({"ceiling_color": "black"}, "ceiling_color"),
        ({"texture": [1, 2, 3]}, "texture of shape"),
        ({"texture": [[300]]}, "texture of shape.*300"),
        ({"texture": []}, "texture of shape"),
        ({"texture": np.zeros((2, 2, 4))}, "texture of shape"),
        ({"maze": ["#####", "#Sx#", "#####"]}, "row 2, column 5"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    for maker in (lambda: make(**arguments), lambda: gym.make_vec(ID, num_envs=2, **arguments)):
        with pytest.raises(ValueError, match=message):
            maker()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["figure_5a", "loops"]), st.integers(0, 2**32 - 1))
def test_random_walks_keep_to_the_rules(name, seed):
    """10 examples of 100 steps in 10 lanes: 10,000 steps, or 40,000 frames."""
    maze = load_maze(name)
    envs = gym.make_vec(ID, num_envs=10, maze=name, max_steps=240)
    random = np.random.default_rng(seed)
    squares = np.argwhere(maze.reachable)[random.integers(maze.reachable.sum(), size=10)]
    headings = random.uniform(0, 360, 10)
    _, info = envs.reset(seed=seed, options={"position": squares[:, ::-1] + 0.5, "heading": headings})
    before, over, keys = info["fitness"], np.zeros(10, dtype=bool), set(info)
    for _ in range(100):
        actions = random.choice([LEFT, RIGHT, FORWARD, FORWARD, FORWARD, BACKWARD, STAY], 10)
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert set(info) == keys and not truncated.any()
        assert observations.shape == (10, 64, 64, 1) and observations.dtype == np.uint8
        for lane, (x, y) in enumerate(envs.lanes.state["pose"][:, :2]):
            assert distance_to_walls(maze.walls, x, y) >= 0.2
            order = maze.order[int(y), int(x)]
            if order > envs.lanes.state["reached"][lane]:  # a square ahead of those reached in order
                assert info["fitness"][lane] <= order - 0.5
        assert ((info["heading"] >= 0) & (info["heading"] < 360)).all()
        assert (info["fitness"] >= 0).all() and (info["fitness"] <= len(maze.path) - 1.5).all()
        assert np.array_equal(info["solved"], info["fitness"] == len(maze.path) - 1.5)
        assert np.array_equal(terminated, info["solved"] | (info["steps"] == 240))
        assert np.array_equal(rewards, np.where(over, 0.0, info["fitness"] - before)) and (rewards >= 0).all()
        before, over = info["fitness"], terminated
