"""What a walker sees in a grid of walls: one ray per pixel column, as in Lode Vandevenne's raycaster.

The picture is that of the RaycastMaze in the PyGame Learning Environment: walls are 255 at the eye and lose
22.5 per square of distance; faces that look north or south keep 0.65 of that. The camera plane reaches 0.66
to each side at distance 1, so the field of view is 67 degrees. A pixel shows what its centre sees, so a
mirrored maze gives the mirrored picture.

World coordinates are in squares: x along the columns and y along the rows, downwards; square (row, column)
covers x in [column, column + 1) and y in [row, row + 1). A heading of 0 degrees looks along x, 90 along y.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_safemaze.checks import check_numbers
from gym_safemaze.jit import kernel

CAMERA_PLANE = 0.66
FADING_PER_SQUARE = 22.5 / 255.0
SIDE_BRIGHTNESS = 0.65

#: How much red, green and blue count in gray.
LUMINANCE = np.array([0.21, 0.72, 0.07])


@kernel
def cast_ray(
    walls: NDArray[np.bool_], x: float, y: float, ray_x: float, ray_y: float
) -> tuple[float, float, bool]:
    """Follow one ray from square to square until it meets a wall.

    Args:
        walls: (rows, columns), closed around (x, y), else the ray never ends.
        x: where the ray starts; not inside a wall.
        y: where the ray starts.
        ray_x: its direction, of any length.
        ray_y: its direction.

    Returns:
        How many times the direction fits between start and wall. When the direction is a unit heading plus a
            vector across it, this is the distance along the heading, which makes straight walls look
            straight.
        Where the wall is met, as a fraction of its width from the left.
        Whether that face looks north or south.
    """
    row, column = int(y), int(x)
    step_x, step_y = (1 if ray_x > 0 else -1), (1 if ray_y > 0 else -1)
    between_x = abs(1.0 / ray_x) if ray_x != 0.0 else math.inf
    between_y = abs(1.0 / ray_y) if ray_y != 0.0 else math.inf
    next_x = ((column + 1 - x) if ray_x > 0 else (x - column)) * between_x if ray_x != 0.0 else math.inf
    next_y = ((row + 1 - y) if ray_y > 0 else (y - row)) * between_y if ray_y != 0.0 else math.inf
    while True:
        is_side = next_y < next_x
        if is_side:
            distance = next_y
            next_y += between_y
            row += step_y
        else:
            distance = next_x
            next_x += between_x
            column += step_x
        if walls[row, column]:
            break
    met = x + distance * ray_x if is_side else y + distance * ray_y
    if ray_y > 0 if is_side else ray_x < 0:  # who looks along y or against x has the larger coordinate left
        met = -met
    return distance, met - math.floor(met), is_side


@kernel
def draw_views(
    walls: NDArray[np.bool_],
    poses: NDArray[np.float64],
    texture: NDArray[np.float32],
    background: NDArray[np.uint8],
    frames: NDArray[np.uint8],
) -> None:
    """Draw what each of N walkers sees.

    Args:
        walls: (rows, columns), closed around every pose.
        poses: (N, 3): x, y, heading in degrees.
        texture: (texture rows, texture columns, C) in [0, 255]: a wall one square wide and high.
        background: (2, C): ceiling and floor.
        frames: (N, height, width, C), overwritten.
    """
    lanes, height, width, _ = frames.shape
    wall_height, brightness, across = np.empty(width), np.empty(width, np.float32), np.empty(width)
    for lane in range(lanes):
        x, y, heading = poses[lane, 0], poses[lane, 1], math.radians(poses[lane, 2])
        ahead_x, ahead_y = math.cos(heading), math.sin(heading)
        for i in range(width):
            camera = CAMERA_PLANE * ((2 * i + 1) / width - 1.0)
            distance, across[i], is_side = cast_ray(
                walls, x, y, ahead_x - camera * ahead_y, ahead_y + camera * ahead_x
            )
            wall_height[i] = height / max(distance, 1e-7)
            shade = max(0.0, 1.0 - FADING_PER_SQUARE * distance)
            brightness[i] = SIDE_BRIGHTNESS * shade if is_side else shade
        _fill_plain(wall_height, brightness, texture[0, 0], background, frames[lane])
        if texture.shape[0] > 1 or texture.shape[1] > 1:
            _paint_walls(wall_height, brightness, across, texture, frames[lane])


@kernel
def _fill_plain(
    wall_height: NDArray[np.float64],
    brightness: NDArray[np.float32],
    color: NDArray[np.float32],
    background: NDArray[np.uint8],
    frame: NDArray[np.uint8],
) -> None:
    """Ceiling, floor and walls of one color, row by row: the order in which the picture lies in memory.

    A row is treated as bytes, gray or in color alike, and nothing branches in the inner loop, so that it
    becomes a few vector instructions; the whole picture is three times cheaper than column by column.
    """
    height, width, channels = frame.shape
    size = width * channels
    first_row, wall, behind = np.empty(size, np.uint16), np.empty(size, np.uint8), np.empty(size, np.uint8)
    for i in range(width):
        for c in range(channels):
            first_row[i * channels + c] = max(0, math.ceil(0.5 * (height - wall_height[i]) - 0.5))
            wall[i * channels + c] = np.uint8(brightness[i] * color[c] + 0.5)
    picture = frame.reshape(height, size)
    for row in range(height):
        if row == 0 or row == height // 2:
            for j in range(size):
                behind[j] = background[0 if row < height // 2 else 1, j % channels]
        mirrored = np.uint16(min(row, height - 1 - row))
        for j in range(size):
            near, far = wall[j], behind[j]
            picture[row, j] = near if mirrored >= first_row[j] else far


@kernel
def _paint_walls(
    wall_height: NDArray[np.float64],
    brightness: NDArray[np.float32],
    across: NDArray[np.float64],
    texture: NDArray[np.float32],
    frame: NDArray[np.uint8],
) -> None:
    """Put a texture on the walls of one picture."""
    height, width, channels = frame.shape
    texture_rows, texture_columns = texture.shape[0], texture.shape[1]
    for row in range(height):
        from_middle = row + 0.5 - 0.5 * height
        for i in range(width):
            if abs(from_middle) <= 0.5 * wall_height[i]:
                v = min(int((0.5 + from_middle / wall_height[i]) * texture_rows), texture_rows - 1)
                u = min(int(across[i] * texture_columns), texture_columns - 1)
                for c in range(channels):
                    frame[row, i, c] = np.uint8(brightness[i] * texture[v, u, c] + 0.5)


def wall_texture(texture: ArrayLike | None, color: ArrayLike, rgb: bool) -> NDArray[np.float32]:
    """Return what a wall square looks like, (h, w, C) in [0, 255] with C = 3 for `rgb` and 1 for gray.

    Args:
        texture: brightness (h, w) or colors (h, w, 3) in [0, 255], None for a plain white wall.
        color: red, green and blue that the texture is seen through.
        rgb: whether pictures have colors.
    """
    given = check_numbers("texture", 255 if texture is None else texture, "of shape (h, w) or (h, w, 3)")
    levels = given.reshape(1, 1, 1) if texture is None else given
    levels = levels[..., np.newaxis] if levels.ndim == 2 else levels
    is_picture = levels.ndim == 3 and levels.shape[2] in (1, 3) and levels.size > 0
    if not is_picture or not ((levels >= 0) & (levels <= 255)).all():
        raise ValueError(
            f"expected a texture of shape (h, w) or (h, w, 3) with values in [0, 255], got shape "
            f"{levels.shape} with values from {levels.min(initial=np.inf)} to {levels.max(initial=-np.inf)}"
        )
    colors = levels * check_color("wall_color", color) / 255.0
    return (colors if rgb else (colors @ LUMINANCE)[..., np.newaxis]).astype(np.float32)


def ceiling_and_floor(ceiling: ArrayLike, floor: ArrayLike, rgb: bool) -> NDArray[np.uint8]:
    """Return what is seen above and below the walls, (2, C) with C = 3 for `rgb` and 1 for gray."""
    behind = np.stack([check_color("ceiling_color", ceiling), check_color("floor_color", floor)])
    return np.rint(behind if rgb else (behind @ LUMINANCE)[:, np.newaxis]).astype(np.uint8)


def check_color(name: str, color: ArrayLike) -> NDArray[np.float64]:
    """Return a color as an array (3,) if it is red, green and blue in [0, 255], or raise a ValueError."""
    array = check_numbers(name, color, "as red, green and blue in [0, 255]")
    if array.shape != (3,) or not ((array >= 0) & (array <= 255)).all():
        raise ValueError(f"expected {name} as red, green and blue in [0, 255], got {color!r}")
    return array
