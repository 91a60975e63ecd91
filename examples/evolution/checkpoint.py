"""Checkpoints of a search: written beside the search, whole or not at all, and checked when they are read.

A checkpoint is an ``.npz`` with a checksum over its whole content (see ``atomic_file``): a state and the
record of the experiment it belongs to. The last two are kept: should the newest be damaged, the one before
it takes over and the search computes the few steps in between again, with the same result.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from evolution.atomic_file import Arrays, read_npz, write_npz
from evolution.record import MACHINE, Record, refuse_other
from evolution.said import SAID
from safe_mutation.out_of_memory import lacks_memory

Search = TypeVar("Search")


class OtherVersion(ValueError):
    """A checkpoint that an earlier version wrote."""


def save(path: Path, state: Arrays, record: Record) -> None:
    """Write a state, keeping the checkpoint before as ``<name>.previous.npz``."""
    encoded = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    write_npz(path, {"record": encoded, **state}, keep=previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest is kept."""
    return path.with_suffix(".previous.npz")


def report(error: OSError) -> None:
    """Say on standard error that there is no checkpoint this time."""
    print(f"no checkpoint: {error}; the search goes on, with the last good one", file=SAID)


class Saver:
    """Writes checkpoints in a thread of its own while the search goes on.

    What cannot be written is reported on standard error, and the last good checkpoint stays.

    Args:
        path: The file.
        record: Of the experiment.

    Attributes:
        seconds: How long the last one took to write.
    """

    def __init__(self, path: Path, record: Record) -> None:
        self.seconds = 0.0
        self.path = path
        self.record = record
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def save(self, state: Arrays) -> None:
        """Write a state whose arrays nobody changes; waits only for the checkpoint before."""
        self.wait()
        self._last = self._thread.submit(self._save, state)

    def _save(self, state: Arrays) -> None:
        began = time.monotonic()
        save(self.path, state, self.record)
        self.seconds = time.monotonic() - began

    def wait(self) -> None:
        """Wait until the last checkpoint is written."""
        last, self._last = self._last, None
        error = None if last is None else last.exception()
        if isinstance(error, OSError):
            report(error)
        elif error is not None:
            raise error

    def close(self) -> None:
        """Wait until the last checkpoint is written, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


def restore(path: Path, record: Record, load: Callable[[Mapping[str, np.ndarray]], Search]) -> Search | None:
    """What an experiment's last good checkpoint holds; None when there is no checkpoint.

    A damaged file is named on standard error, moved aside, and the one before it is used. A machine that
    computes with other instructions than the one that saved is named, too: what follows will differ by
    rounding.

    Args:
        path: The newest checkpoint.
        record: Of the experiment.
        load: Makes of a state what is to go on.

    Raises:
        ValueError: If the checkpoint belongs to another experiment, the message names the difference; or if
            there are only damaged ones.
    """
    damaged: list[str] = []
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            found, state = _read(candidate)
        except OtherVersion:
            raise
        except (ValueError, KeyError) as error:
            damaged.append(f"{candidate} ({error})")
            continue
        refuse_other(candidate, found, record)
        try:
            search = load(state)
        except Exception as error:  # a state that is not one of this experiment's, whatever its checksum says
            if lacks_memory(error) or isinstance(error, OSError):
                raise
            damaged.append(f"{candidate} ({type(error).__name__}: {error})")
            continue
        if damaged:
            print(f"damaged checkpoint {damaged[0]}: going on from {candidate}", file=SAID)
            os.replace(path, path.with_suffix(".damaged.npz"))
        if found.get(MACHINE) != record.get(MACHINE):
            print(
                f"{candidate} was computed on {found.get(MACHINE)}, and goes on on {record.get(MACHINE)}: "
                "from here on its numbers may differ by rounding",
                file=SAID,
            )
        return search
    if damaged:
        raise ValueError(f"damaged checkpoint {' and '.join(damaged)}: remove it to begin anew")
    return None


def _read(path: Path) -> tuple[Record, dict[str, np.ndarray]]:
    state, signed = read_npz(path)
    if not signed:
        raise OtherVersion(
            f"{path} was written by an earlier version, whose children of the same seed are others: "
            "use another folder"
        )
    return json.loads(state.pop("record").tobytes()), state
