import json
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_safemaze  # noqa: F401
from gym_safemaze.ascii_maze import AsciiMaze, bundled_mazes, load_maze, parse_maze

CORRIDOR = ["#####", "#Sxx#", "#####"]


def spread(walls: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """Distance in steps from `start` to every square, inf where none leads, by growing whole-array rings."""
    distance = np.full(walls.shape, np.inf)
    distance[start] = 0
    for steps in range(1, walls.size):
        padded = np.pad(distance, 1, constant_values=np.inf)
        around = np.minimum.reduce([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
        ring = (around == steps - 1) & ~walls & np.isinf(distance)
        distance[ring] = steps
    return distance


def test_the_papers_layout_has_65_squares_and_a_path_of_22():
    maze = load_maze("figure_5a")
    assert maze.walls.shape == (13, 15)
    assert maze.start == (5, 1)
    assert maze.reachable.sum() == 65
    assert np.array_equal(maze.reachable, np.isfinite(spread(maze.walls, maze.start)))
    east = [(5, column) for column in range(1, 12)]
    south = [(row, 11) for row in range(6, 12)]
    north = [(row, 13) for row in range(11, 6, -1)]
    assert [tuple(square) for square in maze.path] == east + south + [(11, 12)] + north


@pytest.mark.parametrize("name", bundled_mazes())
def test_bundled_mazes_have_an_unbroken_path_of_free_squares(name):
    maze = load_maze(name)
    assert not maze.walls[tuple(maze.path.T)].any()
    assert (np.abs(np.diff(maze.path, axis=0)).sum(axis=1) == 1).all()
    assert np.array_equal(maze.order[tuple(maze.path.T)], np.arange(len(maze.path)))
    assert (maze.order >= 0).sum() == len(maze.path)


def test_name_file_drawing_and_rows_give_the_same_maze(tmp_path):
    file = tmp_path / "corridor.txt"
    file.write_text("\n".join(CORRIDOR) + "\n")
    indented = """
        #####
        #Sxx#
        #####
    """
    for maze in (CORRIDOR, tuple(CORRIDOR), str(file), file, "\n".join(CORRIDOR), indented):
        assert load_maze(maze).rows == tuple(CORRIDOR)


@pytest.mark.parametrize("name", ["TopdownMaze", "BreadcrumbHardMaze"])
def test_a_mark_of_the_encoding_at_the_start_of_a_file_does_not_count(name, tmp_path):
    file = tmp_path / "corridor.txt"
    file.write_text("\n".join(CORRIDOR), encoding="utf-8-sig")
    gym.make(f"safemaze/{name}-v0", maze=file)
    assert load_maze(file).rows == tuple(CORRIDOR)
    if name == "BreadcrumbHardMaze":
        walls = "start 30 30\ngoal 70 70\n" + "".join(
            f"wall {wall}\n" for wall in ("0 0 99 0", "99 0 99 99", "99 99 0 99", "0 99 0 0")
        )
        file.write_text(walls, encoding="utf-8-sig")
        assert gym.make(f"safemaze/{name}-v0", maze=file).reset()[1]["behavior"].tolist() == [30, 30]


def test_windows_line_ends_and_trailing_blanks_do_not_count():
    assert parse_maze("#####  \r\n#Sxx#\r\n#####\t\r\n\r\n").rows == tuple(CORRIDOR)


def test_the_way_to_a_goal_is_a_shortest_one():
    maze = load_maze("loops")
    (goal,) = np.argwhere(np.array([list(row) for row in maze.rows]) == "G")
    assert tuple(maze.path[-1]) == tuple(goal)
    assert len(maze.path) - 1 == spread(maze.walls, maze.start)[tuple(goal)]


def test_squares_outside_the_closed_part_may_be_open():
    maze = load_maze(["#####..", "#Sx.#.#", "#####.."])
    assert maze.reachable.sum() == 3


WRONG = {
    "open on the left": (["#####", "Sxx.#", "#####"], "not closed", 2, 1),
    "open at the top": (["##.##", "#Sx.#", "#####"], "not closed", 1, 3),
    "open at the bottom": (["#####", "#Sx.#", "#.###"], "not closed", 3, 2),
    "a hole far away": (["#######", "#Sx...#", "#####.#", "#####..", "#######"], "not closed", 4, 7),
    "two starts": (["######", "#SxxS#", "######"], "2 starts", 2, 5),
    "a short row": (["#####", "#Sx#", "#####"], "row 2 has 4: missing", 2, 5),
    "a long row": (["#####", "#Sxx##", "#####"], "row 2 has 6: too many", 2, 6),
    "a blank row": (["#####", "", "#####"], "row 2 has 0", 2, 1),
    "an unknown character": (["#####", "#Sx #", "#####"], "unknown character ' '", 2, 4),
    "a forked path": (["#####", "#Sxx#", "#.x.#", "#####"], "forks", 2, 3),
    "a broken path": (["######", "#Sx.x#", "######"], "one line from the start", 2, 5),
    "a path and a goal": (["#####", "#SxG#", "#####"], "goal", 2, 4),
    "two goals": (["######", "#SG.G#", "######"], "2 goals", 2, 5),
    "two equally short ways": (["#####", "#S..#", "#...#", "#..G#", "#####"], "equally short", 4, 4),
    "two ways round": (["#####", "#S..#", "#.#.#", "#..G#", "#####"], "equally short", 4, 4),
    "a goal behind a wall": (["######", "#S.#G#", "######"], "no way", 2, 5),
}


@pytest.mark.parametrize("drawing, message, row, column", WRONG.values(), ids=WRONG)
def test_a_wrong_drawing_is_refused_where_it_is_wrong(drawing, message, row, column):
    with pytest.raises(ValueError) as error:
        load_maze(drawing)
    text = str(error.value)
    assert message in text
    assert f"row {row}, column {column} (counted from 1)" in text
    shown, mark = text.splitlines()[1:3]
    assert shown == "    " + drawing[row - 1] and mark.index("^") == 4 + column - 1


@pytest.mark.parametrize(
    "drawing, message",
    [
        (["#####", "#.xx#", "#####"], "no start 'S'"),
        (["####", "#S.#", "####"], "neither a path of 'x' nor a goal 'G'"),
        ([""], "empty"),
        ([], "empty"),
        ("\n\n", "empty"),
        ("no-such-maze", "figure_5a.*'no-such-maze'"),
    ],
)
def test_a_maze_with_something_missing_is_refused(drawing, message):
    with pytest.raises(ValueError, match=message):
        load_maze(drawing)


@pytest.mark.parametrize("maze", [None, 5, [1, 2], np.zeros((3, 3))])
def test_what_is_no_maze_at_all_is_refused(maze):
    with pytest.raises(TypeError, match="expected a maze as a name"):
        load_maze(maze)


def test_a_maze_can_be_pickled_and_its_drawing_is_json():
    maze = load_maze("figure_5a")
    copy = pickle.loads(pickle.dumps(maze))
    assert isinstance(copy, AsciiMaze) and np.array_equal(copy.path, maze.path)
    assert load_maze(json.loads(json.dumps(maze.rows))).rows == maze.rows


def test_a_maze_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load_maze("figure_5a").walls[0, 0] = False


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.randoms(use_true_random=False))
def test_any_drawing_is_either_refused_with_a_place_or_closed(height, width, random):
    rows = ["".join(random.choice("###....x") for _ in range(width)) for _ in range(height)]
    row = random.randrange(height)
    column = random.randrange(width)
    rows[row] = rows[row][:column] + "S" + rows[row][column + 1 :]
    try:
        maze = load_maze(rows)
    except ValueError as error:
        assert re.search(r"row \d+, column \d+|neither a path", str(error))
        return
    distance = spread(maze.walls, maze.start)
    border = np.concatenate([distance[0], distance[-1], distance[:, 0], distance[:, -1]])
    assert np.isinf(border).all()
    assert (maze.order >= 1).sum() == sum(line.count("x") for line in rows)
