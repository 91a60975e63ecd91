"""Processes on this machine, which end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from evolution.interrupts import SIGNALS


class LocalPool(ProcessPoolExecutor):
    """A pool of spawned processes: nothing of this one is in them but what they are sent.

    Args:
        workers: Number of processes.
        initializer: Called first in each, with ``initargs``.
        initargs: Its arguments.
        farewell: The signal that ends them; what ignores it is waited for.
    """

    def __init__(
        self,
        workers: int,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        farewell: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.farewell = farewell
        self.context = _NotedSpawns()
        super().__init__(
            workers, mp_context=self.context, initializer=_begin, initargs=(initializer, initargs)
        )

    def kill_workers(self) -> None:
        """End all processes, whatever they do; the pool is of no use any more."""
        self.shutdown(wait=False, cancel_futures=True)
        for process in self.context.processes:
            if process.is_alive() and process.pid is not None:
                with suppress(ProcessLookupError):  # the pool's own thread may have seen it end by now
                    os.kill(process.pid, self.farewell)
        for process in self.context.processes:
            process.join()


class _NotedSpawns(SpawnContext):
    """Spawns processes and knows which."""

    def __init__(self) -> None:
        self.processes: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **keywords: Any) -> SpawnProcess:  # type: ignore[override]
        self.processes.append(process := SpawnProcess(*arguments, **keywords))
        return process


def ignore_signals() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the one that started this."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _begin(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
