"""Checkpoints of a search: one file, written whole or not at all, checked when it is read.

A checkpoint is a plain ``.npz`` (every array carries a checksum, nothing is pickled) of a state and
the record of the experiment it belongs to. The last two are kept: should the newest be damaged, the
one before it takes over and the search computes the few steps in between again, with the same result.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evolution.atomic_file import write_npz
from evolution.individual import State
from evolution.record import MACHINE, Record, refuse_other

UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zipfile.LargeZipFile)


def save(path: Path, state: Mapping[str, np.ndarray], record: Record) -> None:
    """Write a state, keeping the checkpoint before as ``<name>.previous.npz``."""
    encoded = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    write_npz(draft := path.with_suffix(".new.npz"), record=encoded, **state)
    if path.exists():
        os.replace(path, previous(path))
    os.replace(draft, path)


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest is kept."""
    return path.with_suffix(".previous.npz")


def restore(path: Path, record: Record) -> State | None:
    """The last saved state of an experiment; None when there is none.

    A damaged file is named on standard error and the one before it is used. A machine that computes with
    other instructions than the one that saved is named, too: what follows will differ by rounding.

    Raises:
        ValueError: If the checkpoint belongs to another experiment; the message names the difference.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            with np.load(candidate, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            found = json.loads(state.pop("record").tobytes()) if "record" in state else None
        except UNREADABLE as error:
            print(f"damaged checkpoint {candidate} ({error}); trying the one before", file=sys.stderr)
            continue
        if found is None:
            raise ValueError(
                f"{candidate} was written by an earlier version, whose children of the same seed are others: "
                "use another folder"
            )
        refuse_other(candidate, found, record)
        if found.get(MACHINE) != record.get(MACHINE):
            print(
                f"{candidate} was computed on {found.get(MACHINE)}, and goes on on {record.get(MACHINE)}: "
                "from here on its numbers may differ by rounding",
                file=sys.stderr,
            )
        return state
    return None
