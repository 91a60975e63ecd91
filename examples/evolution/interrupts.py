"""Ctrl-C, and the SIGTERM of schedulers, for command lines whose work has to end between two steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Note the first signal instead of raising it; gives a function that says whether there was one.

    A second one of its kind ends the process at once, as kill does: files and checkpoints stay whole. (A
    worker may get one of each, Ctrl-C from the terminal and SIGTERM from the process that started it.) For
    the main thread of a process only, as Python has it for all signals.
    """
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        if received.count(number) > 1:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
