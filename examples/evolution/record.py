"""The record of an experiment: everything that decides its outcome, as plain JSON.

It goes into every checkpoint and every result. Two experiments are the same if their records are,
but for the machine: a result is never taken for that of another experiment, and a search never goes on
from the checkpoint of another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from llvmlite import binding

import gym_safemaze
import safe_mutation
from evolution.atomic_file import read_json

Record = dict[str, Any]

MACHINE = "machine"  # recorded, though not a part of what an experiment is
PACKAGES = ("torch", "numpy", "numba", "gymnasium")
# Of an operator: the network is recorded with the domain, every call brings its experiences and its
# generator, and the others decide about memory and time only.
NO_SETTINGS = ("network", "experiences", "generator", "chunk_size", "plan")


def describe(thing: Any) -> Any:
    """The settings of a dataclass by name, with its class; anything else as it is, or as its repr."""
    if not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return _plain(thing)
    settings = {
        field.name: _plain(getattr(thing, field.name))
        for field in dataclasses.fields(thing)
        if field.init and field.name not in NO_SETTINGS
    }
    return {"class": type(thing).__name__} | settings


def _plain(value: Any) -> Any:
    """What JSON can hold and give back unchanged."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (set, frozenset)):  # their order is another in every process
        return sorted(map(_plain, value), key=repr)
    if isinstance(value, np.number):
        return value.item()
    if isinstance(value, (np.ndarray, torch.Tensor)):
        array = np.ascontiguousarray(value)
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        return f"array of shape {array.shape}, {array.dtype}, sha256 {digest}"
    return lasting(value)


def lasting(value: Any) -> str:
    """A description that is the same in every process: a function's name, or the repr.

    Raises:
        ValueError: If the repr has an address in memory. No search could go on from such a record.
    """
    if isinstance(value, FunctionType) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    if re.search(r" at 0x[0-9a-f]+", text := repr(value)):
        raise ValueError(
            f"expected settings that look the same in every process, got {text}: give its class a __repr__ "
            "that tells what it is, make it a dataclass, or name a function of a module"
        )
    return text


def versions() -> dict[str, str]:
    """The versions of everything that computes."""
    ours = {"gym-safemaze": gym_safemaze.__version__, "safe-mutation": safe_mutation.__version__}
    return {"python": platform.python_version()} | ours | {package: version(package) for package in PACKAGES}


def machine() -> str:
    """The instructions that this machine's libraries compute with; they decide how results are rounded."""
    torch_uses = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {binding.get_host_cpu_name()}, torch {torch_uses}"


def differences(found: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Where two records differ, in words."""
    for name in sorted({*found, *expected}):
        there, now = found.get(name), expected.get(name)
        if isinstance(there, Mapping) and isinstance(now, Mapping):
            yield from differences(there, now, f"{prefix}{name}.")
        elif there != now and repr(there) != repr(now):  # nan is not equal to itself
            yield f"{prefix}{name}: {there!r} there, {now!r} now"


def refuse_other(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise ValueError, naming each difference, unless two records are of the same experiment."""
    same = {MACHINE: expected.get(MACHINE)}
    if different := list(differences({**found, **same}, expected)):
        raise ValueError(f"{path} belongs to another experiment ({'; '.join(different)}): use another folder")


def is_finished(result: Path, record: Record) -> bool:
    """Whether the result file of an experiment is there.

    Raises:
        ValueError: If the file is damaged, belongs to another experiment, or was written before results had a
            record.
    """
    if not result.exists():
        return False
    if "record" not in (content := read_json(result)):
        raise ValueError(
            f"{result} was written by an earlier version, whose children of the same seed are others: draw "
            "and test it with 'python examples/reproduce.py claims', or compute anew with --results FOLDER"
        )
    refuse_other(result, content["record"], record)
    return True
