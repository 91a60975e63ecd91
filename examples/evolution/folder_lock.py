"""One process at a time in a run folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evolution.atomic_file import remove_drafts

LOCK = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if there is none; however the process ends, the system lets go of it.

    Drafts of a process that was killed are removed.

    Raises:
        ValueError: At once, if another process holds it; the message has its number.
        OSError: If it cannot be written, or has no locks, as some network drives; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 100).decode(errors="replace") or "another"
        os.close(handle)
        raise ValueError(f"{folder} is in use by process {holder}") from None
    except OSError as error:
        os.close(handle)
        without = f"cannot be locked ({error.strerror}): use a folder on another file system"
        raise OSError(error.errno, without, str(folder)) from error
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        remove_drafts(folder)
        yield
    finally:
        os.ftruncate(handle, 0)
        os.close(handle)
