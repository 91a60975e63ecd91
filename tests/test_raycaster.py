import numpy as np
import pytest

from gym_safemaze.ascii_maze import bundled_mazes, load_maze
from gym_safemaze.raycaster import cast_ray, draw_views

BLACK_AND_GRAY = np.array([[0], [92]], dtype=np.uint8)
WHITE = np.full((1, 1, 1), 255, dtype=np.float32)


def exact_hit(walls, x, y, ray_x, ray_y):
    """Nearest wall square along a ray, by clipping the ray against every one (slab method)."""
    nearest, is_side = np.inf, False
    for row, column in np.argwhere(walls):
        with np.errstate(divide="ignore"):
            x0, x1 = np.sort((np.array([column, column + 1]) - x) / ray_x)
            y0, y1 = np.sort((np.array([row, row + 1]) - y) / ray_y)
        entry = max(x0, y0)
        if 0 <= entry < min(x1, y1) and entry < nearest:
            nearest, is_side = entry, y0 > x0
    return nearest, is_side


def some_poses(maze, count, seed):
    random = np.random.default_rng(seed)
    squares = np.argwhere(maze.reachable)[random.integers(maze.reachable.sum(), size=count)]
    x, y = squares[:, 1] + random.uniform(0.1, 0.9, count), squares[:, 0] + random.uniform(0.1, 0.9, count)
    return np.column_stack([x, y, random.uniform(0, 360, count)])


def draw(walls, poses, size=(64, 64), texture=WHITE, background=BLACK_AND_GRAY):
    frames = np.empty((len(poses), *size, texture.shape[2]), dtype=np.uint8)
    draw_views(walls, np.asarray(poses, dtype=np.float64), texture, background, frames)
    return frames


def rays(pose, width):
    heading = np.radians(pose[2])
    ahead, right = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    return [ahead + 0.66 * ((i + 0.5) / (width / 2) - 1) * right for i in range(width)]


@pytest.mark.parametrize("name", bundled_mazes())
def test_rays_meet_the_wall_that_clipping_against_every_square_finds(name):
    maze = load_maze(name)
    for pose in some_poses(maze, 12, seed=1):
        for ray_x, ray_y in rays(pose, 8):
            distance, across, is_side = cast_ray(maze.walls, pose[0], pose[1], ray_x, ray_y)
            expected, expected_side = exact_hit(maze.walls, pose[0], pose[1], ray_x, ray_y)
            assert distance == pytest.approx(expected, rel=1e-9)
            assert is_side == expected_side
            met = pose[0] + expected * ray_x if is_side else pose[1] + expected * ray_y
            leftwards = ray_y > 0 if is_side else ray_x < 0  # whether the coordinate grows to the left
            assert across == pytest.approx((-met if leftwards else met) % 1.0, abs=1e-9)


def test_walls_are_as_high_and_as_bright_as_their_exact_distance_says():
    maze = load_maze("figure_5a")
    poses = some_poses(maze, 12, seed=2)
    for pose, frame in zip(poses, draw(maze.walls, poses)[..., 0].astype(int), strict=True):
        for column, (ray_x, ray_y) in enumerate(rays(pose, 64)):
            distance, is_side = exact_hit(maze.walls, pose[0], pose[1], ray_x, ray_y)
            half = 32 / distance
            from_middle = np.abs(np.arange(64) + 0.5 - 32)
            inside, outside = from_middle < half - 1e-6, from_middle > half + 1e-6
            shade = max(0, 255 - 22.5 * distance) * (0.65 if is_side else 1.0)
            assert np.abs(frame[inside, column] - shade).max(initial=0) <= 0.51
            assert (frame[:32, column][outside[:32]] == 0).all()
            assert (frame[32:, column][outside[32:]] == 92).all()


@pytest.mark.parametrize("heading", [0, 90, 180, 270])
def test_along_the_axes_rays_parallel_to_a_grid_line_work(heading):
    room = np.pad(np.zeros((3, 3), dtype=bool), 1, constant_values=True)
    for x, y in [(2.5, 2.5), (2.0, 2.5), (2.5, 3.0), (1.0, 1.0)]:
        direction = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}[heading]
        expected = {0: 4 - x, 90: 4 - y, 180: x - 1, 270: y - 1}[heading]
        assert cast_ray(room, x, y, *direction)[0] == pytest.approx(expected, abs=1e-12)


def test_a_mirrored_maze_gives_the_mirrored_picture():
    walls = load_maze("figure_5a").walls
    poses = np.array([[4.5, 5.5, 0.0], [11.25, 5.5, 90.0], [12.75, 11.5, 180.0], [5.25, 5.75, 45.0]])
    mirrored = poses * [1, -1, -1] + [0, len(walls), 0]
    there = draw(np.ascontiguousarray(walls[::-1]), mirrored)
    # only columns whose ray runs within rounding of a wall edge may differ
    assert (draw(walls, poses)[:, :, ::-1] == there).mean() > 0.99


def test_a_batch_is_the_single_pictures():
    maze = load_maze("loops")
    poses = some_poses(maze, 9, seed=3)
    alone = np.concatenate([draw(maze.walls, [pose]) for pose in poses])
    assert np.array_equal(draw(maze.walls, poses), alone)


@pytest.mark.parametrize("size", [(64, 64), (7, 5), (33, 100), (1, 1), (600, 20)])
def test_any_picture_size(size):
    maze = load_maze("t_maze")
    frame = draw(maze.walls, [[3.5, 4.5, 270.0]], size)[0, ..., 0].astype(int)
    rows = np.abs(np.arange(size[0]) + 0.5 - size[0] / 2)
    for column in {0, size[1] // 2, size[1] - 1}:
        distance, is_side = exact_hit(maze.walls, 3.5, 4.5, *rays((3.5, 4.5, 270.0), size[1])[column])
        wall = rows < size[0] / 2 / distance
        shade = (255 - 22.5 * distance) * (0.65 if is_side else 1.0)
        assert np.abs(frame[wall, column] - shade).max() <= 0.51


def test_colours_agree_with_gray_where_they_are_gray():
    maze = load_maze("figure_5a")
    poses = some_poses(maze, 5, seed=4)
    colour = draw(maze.walls, poses, texture=WHITE.repeat(3, 2), background=BLACK_AND_GRAY.repeat(3, 1))
    assert np.array_equal(colour, draw(maze.walls, poses).repeat(3, 3))


def test_colours_of_ceiling_floor_and_wall():
    room = np.pad(np.zeros((1, 4), dtype=bool), 1, constant_values=True)
    red = np.array([[[200, 10, 0]]], dtype=np.float32)
    background = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)
    frame = draw(room, [[1.5, 1.5, 0.0]], texture=red, background=background)[0]
    assert frame[0, 32].tolist() == [1, 2, 3] and frame[63, 32].tolist() == [4, 5, 6]
    bright = 1 - 22.5 / 255 * 3.5
    assert np.abs(frame[32, 32] - np.array([200, 10, 0]) * bright).max() <= 0.51


@pytest.mark.parametrize("heading", [0.0, 90.0, 180.0, 270.0])
def test_a_texture_is_the_right_way_round_on_all_walls(heading):
    room = np.pad(np.zeros((1, 1), dtype=bool), 1, constant_values=True)
    texture = np.linspace(50, 200, 16, dtype=np.float32).reshape(1, 16, 1)  # brighter to the right
    row = draw(room, [[1.5, 1.5, heading]], texture=texture)[0, 32, :, 0].astype(int)
    assert (np.diff(row[10:54]) >= 0).all() and row[50] > row[14] + 20


def test_a_texture_covers_each_wall_square_once():
    room = np.pad(np.zeros((3, 3), dtype=bool), 1, constant_values=True)
    texture = np.arange(10, 170, 10, dtype=np.float32).reshape(4, 4, 1)
    frame = draw(room, [[3.0, 2.5, 0.0]], texture=texture)[0, ..., 0]
    for row in range(64):
        for column in range(64):
            at_y = 2.5 + 0.66 * ((column + 0.5) / 32 - 1)  # the wall is straight ahead, at distance 1
            expected = texture[int((row + 0.5) / 64 * 4), int(at_y % 1 * 4), 0] * (1 - 22.5 / 255)
            assert abs(frame[row, column] - expected) <= 0.51
