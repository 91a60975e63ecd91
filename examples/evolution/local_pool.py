"""Processes on this machine, which end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.spawn import get_preparation_data
from typing import Any

from evolution.interrupts import SIGNALS


class LocalPool(ProcessPoolExecutor):
    """A pool of spawned processes: nothing of this one is in them but what they are sent.

    Args:
        workers: Number of processes.
        initializer: Called first in each.
        farewell: The signal that ends them; what ignores it is waited for.
    """

    def __init__(
        self,
        workers: int,
        initializer: Callable[[], None] | None = None,
        farewell: signal.Signals = signal.SIGKILL,
    ) -> None:
        _end_if_importing_the_script()
        self.context = _NotedSpawns(farewell)
        super().__init__(workers, mp_context=self.context, initializer=_begin, initargs=(initializer,))

    def kill_workers(self) -> None:
        """End all processes, whatever they do; the pool is of no use any more."""
        self.shutdown(wait=False, cancel_futures=True)
        started = [process for process in self.context.processes if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join()


class _Worker(SpawnProcess):
    """A process that is told to end once.

    The pool itself tells all that are left as soon as one has ended. Who is told twice gives up what it is
    saving (see ``interrupts``).
    """

    farewells: list[signal.Signals]

    def terminate(self) -> None:
        """Tell it, unless it has been told."""
        if self.is_alive() and self.pid is not None:
            with suppress(IndexError, ProcessLookupError):  # another thread may have told it, or seen it end
                os.kill(self.pid, self.farewells.pop())


class _NotedSpawns(SpawnContext):
    """Spawns processes and knows which."""

    def __init__(self, farewell: signal.Signals) -> None:
        self.farewell = farewell
        self.processes: list[_Worker] = []

    def Process(self, *arguments: Any, **keywords: Any) -> SpawnProcess:  # type: ignore[override]
        self.processes.append(process := _Worker(*arguments, **keywords))
        process.farewells = [self.farewell]
        return process


def ignore_signals() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the one that started this."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_if_importing_the_script() -> None:
    """End a worker whose script would start workers again, before it begins the script's work, too.

    Python refuses that as well, but later, and with a traceback for each worker.
    """
    try:
        get_preparation_data("")
    except RuntimeError:
        sys.exit(
            f"{sys.argv[0]}: expected workers to be started below if __name__ == '__main__': each of them "
            "imports the script, and would start more"
        )


def _begin(initializer: Callable[[], None] | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
