"""Processes on this machine, which end with the one that started them, however that one ends."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import Empty, SimpleQueue
from typing import Any

from evolution.interrupts import SIGNALS

Calls = SimpleQueue[tuple[Future[Any], bytes] | None]  # None comes after the last


class LocalPool(Executor):
    """Spawned processes: nothing of this one is in them but what they are sent.

    For each there is a thread here that hands it one call after the other through a pipe of its own. That
    costs a third to a half less than the queues of Python's ``ProcessPoolExecutor`` (examples/scaling.md).

    Args:
        workers: Number of processes.
        initializer: Called first in each, with ``initargs``.
        initargs: Its arguments.
        farewell: How ``kill_workers`` ends a process; what survives it is waited for.
    """

    def __init__(
        self,
        workers: int,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        farewell: Callable[[SpawnProcess], None] = SpawnProcess.kill,
    ) -> None:
        self._calls: Calls = SimpleQueue()
        self._shut_down = False
        self._threads: list[threading.Thread] = []
        self.processes: list[SpawnProcess] = []
        # Threads know nothing of the pool, so that one that is forgotten ends, or ends with this process.
        self._end = weakref.finalize(self, _end, self._calls, self.processes, self._threads, farewell)
        context = multiprocessing.get_context("spawn")
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, initializer, initargs))
            process.start()
            theirs.close()  # so that the pipe ends when the process does
            self.processes.append(process)
            thread = threading.Thread(target=_employ, args=(process, ours, self._calls), daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a call, with its arguments as they are now.

        Raises:
            RuntimeError: If the pool has been shut down.
        """
        if self._shut_down:
            raise RuntimeError("the pool has been shut down")
        future: Future[Any] = Future()
        self._calls.put((future, pickle.dumps((fn, args, kwargs))))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the processes answer what they have been asked, and end."""
        self._shut_down = True
        if cancel_futures:
            _cancel(self._calls)
        self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def kill_workers(self) -> None:
        """End all processes, whatever they do; the pool is of no use any more."""
        self._shut_down = True
        self._end()


def ignore_signals() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the one that started this."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _employ(process: SpawnProcess, connection: Connection, calls: Calls) -> None:
    """Have a process answer calls; once it has ended they fail, so that none waits for ever."""
    while (call := calls.get()) is not None:
        future, message = call
        if not future.set_running_or_notify_cancel():
            continue
        try:
            connection.send_bytes(message)
            reply = connection.recv_bytes()
        except (OSError, EOFError):
            process.join()
            ended = f"worker process {process.pid} has ended with status {process.exitcode}"
            future.set_exception(BrokenExecutor(ended))
        else:
            _settle(future, reply)
    calls.put(None)  # for the other threads
    connection.close()  # which ends the process, too, if it waits for a call
    process.join()


def _settle(future: Future[Any], reply: bytes) -> None:
    try:
        result, error = pickle.loads(reply)
    except Exception as unreadable:
        result, error = None, unreadable
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _work(connection: Connection, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    """What a process does: answer calls, until there is nobody to answer."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)
    with suppress(EOFError):
        while True:
            function, args, kwargs = pickle.loads(connection.recv_bytes())
            try:
                answer = pickle.dumps((function(*args, **kwargs), None))
            except Exception as error:
                answer = _failure(error)
            connection.send_bytes(answer)


def _failure(error: Exception) -> bytes:
    """An exception as an answer, with a note of where it arose: a traceback does not travel."""
    where = "".join(traceback.format_exception(error))
    try:
        error.add_note(where)
        return pickle.dumps((None, error))
    except Exception:
        stand_in = RuntimeError(repr(error))
        stand_in.add_note(where)
        return pickle.dumps((None, stand_in))


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _end(
    calls: Calls,
    processes: list[SpawnProcess],
    threads: list[threading.Thread],
    farewell: Callable[[SpawnProcess], None],
) -> None:
    _cancel(calls)
    calls.put(None)
    for process in processes:
        farewell(process)
    for thread in threads:
        thread.join()


def _cancel(calls: Calls) -> None:
    """Cancel all calls that no process has begun."""
    with suppress(Empty):
        while True:
            if (call := calls.get_nowait()) is not None and call[0].cancel():
                call[0].set_running_or_notify_cancel()  # of use to those who wait
