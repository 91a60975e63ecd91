"""What callers hand over: each function returns it ready for use, or says what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray

#: The largest count: steps are kept in 32 bits.
LARGEST_COUNT = 2**31 - 1


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, Python's or numpy's, and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_count(name: str, value: Any) -> int:
    """Return the argument `name` as an int if it is an integer from 1 to 2**31 - 1, or raise a ValueError."""
    if not is_integer(value) or value < 1:
        raise ValueError(f"expected {name} to be an integer of at least 1, got {value!r}")
    if value > LARGEST_COUNT:
        raise ValueError(f"expected {name} to be at most {LARGEST_COUNT}, got {value}")
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """Return the argument `name` as a bool if it is one, or raise a ValueError."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"expected {name} to be True or False, got {value!r}")
    return bool(value)


def check_choice(name: str, value: Any, choices: Sequence[str | None]) -> None:
    """Raise a ValueError if the argument `name` is none of `choices`, whatever else it may be."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"expected {name} to be one of {tuple(choices)}, got {value!r}")


def check_between(name: str, value: Any, low: float, high: float) -> float:
    """Return a number that lies strictly between `low` and `high`, or raise a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low < value < high:
        raise ValueError(f"expected {name} to be a number between {low:g} and {high:g}, got {value!r}")
    return float(value)


def as_array(name: str, values: Any, expected: str) -> NDArray:
    """Return `values` as an array, or raise a ValueError if they are none: rows of different length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"expected {name} {expected}, got {values!r}") from None
    except TypeError as error:  # a tensor on a GPU, or of a dtype that numpy does not have
        raise ValueError(f"expected {name} {expected}, got {values!r} ({error})") from None


def check_numbers(name: str, values: Any, expected: str) -> NDArray[np.float64]:
    """Return `values` as float64 if they are real numbers, or raise a ValueError.

    Args:
        name: what the values are called.
        values: a number, or nested sequences of numbers.
        expected: their shape and meaning, in words.
    """
    array = as_array(name, values, expected)
    try:
        if array.dtype.kind not in "biufO":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected {name} {expected}, got {values!r}") from None


def check_seed(seed: Any) -> int | None:
    """Return `seed` as an int, or None, or raise a ValueError."""
    if seed is None:
        return None
    if not is_integer(seed) or seed < 0:
        raise ValueError(f"expected seeds to be integers of at least 0 or None, got {seed!r}")
    return int(seed)


def check_options(options: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy of reset options if all of them are `known`, or raise a ValueError."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"expected reset options as a dict, got {options!r}")
    unknown = sorted(set(map(str, options)) - set(known))
    if unknown:
        raise ValueError(f"unknown reset options {unknown}; known: {sorted(known)}")
    return dict(options)


def per_lane(name: str, value: Any, shape: tuple[int, ...], num_lanes: int) -> NDArray[np.float64]:
    """Return reset option `name`, given once (*shape) or per lane (N, *shape), as (N, *shape), read-only."""
    shapes = (shape, (num_lanes, *shape))
    array = check_numbers(f"option {name!r}", value, f"of shape {shapes[0]} or {shapes[1]}")
    if array.shape not in shapes:
        raise ValueError(f"expected option {name!r} of shape {shapes[0]} or {shapes[1]}, got {array.shape}")
    return np.broadcast_to(array, shapes[1])


def check_actions(actions: Any, space: Space, shape: tuple[int, ...] | None) -> NDArray:
    """Return `actions` as a fresh contiguous array of the space's dtype, or say what is wrong with them.

    Args:
        actions: one action, or one per lane.
        space: a lane's action space, Box or Discrete.
        shape: the shape `actions` must have.

    Raises:
        ValueError: for another shape, for what is not a number, for NaN, for a discrete action that is
            fractional or out of range. Box actions are not compared with their bounds: domains clamp them.
    """
    array = as_array("actions", actions, f"of shape {shape}")
    if array.shape != shape:
        raise ValueError(f"expected actions of shape {shape}, got {array.shape}")
    if isinstance(space, Discrete):
        return _discrete_actions(array, int(space.start), int(space.start + space.n), space.dtype)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"expected actions that are real numbers, got {actions!r}")
    array = array.astype(space.dtype, "C")
    flat = array.ravel()
    squares = flat.dot(flat)  # NaN exactly where an action is, and cheaper to ask than isnan(array).any()
    if squares != squares:
        raise ValueError(f"expected actions without NaN, got {_first_with_nan(array, space.shape or ())}")
    return array


def _discrete_actions(array: NDArray, low: int, high: int, dtype: Any) -> NDArray:
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected integer actions in [{low}, {high}), got {array}")
    outside = (array < low) | (array >= high)
    if outside.any():
        raise ValueError(f"expected actions in [{low}, {high}), got {array[outside][0]}")
    return array.astype(dtype, "C")


def _first_with_nan(actions: NDArray, shape: tuple[int, ...]) -> str:
    lanes = actions.reshape(-1, *shape)
    lane = np.argwhere(np.isnan(lanes))[0, 0]
    return f"{lanes[lane]} in lane {lane}" if actions.ndim > len(shape) else f"{actions}"
