"""Processes on this machine, which end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.spawn import get_preparation_data
from typing import Any

from evolution.interrupts import SIGNALS

LOOK = 1.0  # seconds between two looks at the processes


class LocalPool(ProcessPoolExecutor):
    """A pool of spawned processes: nothing of this one is in them but what they are sent.

    As with Python's own, all its tasks fail with BrokenProcessPool as soon as one process has been lost; also
    one that was just writing an answer, for whose end Python's own waits for ever.

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
        threading.Thread(target=self.context.end_when_one_is_lost, daemon=True).start()

    def kill_workers(self) -> None:
        """End all processes, whatever they do; the pool is of no use any more."""
        self.shutdown(wait=False, cancel_futures=True)
        self.context.end()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; see Executor."""
        self.context.dismissed = True
        super().shutdown(wait, cancel_futures=cancel_futures)


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
    """Spawns processes and knows which, and the queue of their answers."""

    def __init__(self, farewell: signal.Signals) -> None:
        self.farewell = farewell
        self.processes: list[_Worker] = []
        self.answers: list[Any] = []
        self.dismissed = False  # whether they may end, once their tasks are done

    def Process(self, *arguments: Any, **keywords: Any) -> SpawnProcess:  # type: ignore[override]
        self.processes.append(process := _Worker(*arguments, **keywords))
        process.farewells = [self.farewell]
        return process

    def SimpleQueue(self) -> Any:
        self.answers.append(queue := super().SimpleQueue())
        return queue

    def end(self) -> None:
        """End all processes, and with them whoever reads an answer that none of them will complete."""
        started = [process for process in self.processes if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join()
        with suppress(IndexError):  # another thread has done so
            self.answers.pop()._writer.close()  # the last one: the reader finds the end

    def end_when_one_is_lost(self) -> None:
        """Look at the processes from time to time; when one has not ended by itself, end all."""
        while True:
            time.sleep(LOOK)
            codes = [process.exitcode for process in self.processes]
            if any(codes):
                self.end()
            if any(codes) or (self.dismissed and None not in codes):
                return


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
