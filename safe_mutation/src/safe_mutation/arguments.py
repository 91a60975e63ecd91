"""The arguments of operators: each described once, beside its field, and checked by a function of its own."""

from __future__ import annotations

import math
import textwrap
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

Class = TypeVar("Class", bound=type)

RAISES = """
Raises:
    TypeError: If the network is not callable.
    ValueError: If an argument is out of range; the message names it, what was expected and what came."""


def doc(text: str) -> dict[str, str]:
    """Metadata of a dataclass field: what the argument means."""
    return {"doc": text}


def documented(operator: Class) -> Class:
    """Complete a dataclass's docstring with its arguments, inherited ones included."""
    if operator.__doc__:  # absent under python -OO
        wrap = textwrap.TextWrapper(width=106, initial_indent="    ", subsequent_indent="        ")
        described = [wrap.fill(f"{one.name}: {one.metadata['doc']}") for one in fields(operator) if one.init]
        summary = textwrap.dedent("    " + operator.__doc__).strip()
        operator.__doc__ = "\n".join([summary, "", "Args:", *described, RAISES])
    return operator


def require_positive(name: str, value: Any) -> None:
    """Refuse what is no positive finite number.

    Raises:
        ValueError: Naming the argument.
    """
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"expected {name} to be a positive number, got {value!r}")


def require_share(name: str, value: Any) -> None:
    """Refuse what is no number from 0 to 1.

    Raises:
        ValueError: Naming the argument.
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"expected {name} to be a number from 0 to 1, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def require_count(name: str, value: Any, least: int = 1, *, or_none: bool = False) -> None:
    """Refuse what is no integer of at least ``least``, nor None where that may be given.

    Raises:
        ValueError: Naming the argument.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if (not whole or value < least) and not (or_none and value is None):
        wanted = f"an integer of at least {least}" + (", or None" if or_none else "")
        raise ValueError(f"expected {name} to be {wanted}, got {value!r}")
