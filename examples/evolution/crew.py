"""Tasks for other processes, through any ``concurrent.futures.Executor``, that survive the loss of a worker.

A task must depend on its arguments alone and be harmless when it runs twice: what is lost is computed again.
"""

from __future__ import annotations

import contextlib
import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from evolution.said import SAID

ATTEMPTS = 3  # of a task, before it is taken for the one that kills its workers


class TaskFailed(RuntimeError):
    """A task raised an exception, or was lost again and again; the message names it."""


@dataclass(frozen=True)
class Raised:
    """An exception of a task, sent back as a result: those of a Future then are always of its executor.

    Attributes:
        error: The exception, or a RuntimeError with its repr where it cannot be pickled.
        text: Its traceback.
    """

    error: Exception
    text: str


@dataclass(eq=False)
class Task:
    """A task on its way.

    Attributes:
        name: What to call it in messages.
        function: What to call, with the arguments.
        arguments: Of the function.
        future: Its answer; None while it waits for a new executor.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any] | None = None

    @property
    def answered(self) -> bool:
        """Whether its answer is there."""
        future = self.future
        return future is not None and future.done() and not future.cancelled() and not future.exception()


class Crew:
    """Those who work on the tasks.

    When a worker is lost, or a task takes too long, the executor is started anew if it is ours, and all
    tasks on their way are computed again, one at a time: so the culprit is found.

    Args:
        executor: Where tasks run: an Executor, which is left running, or a function that starts one. What it
            starts is ended with ``kill_workers()`` where it has that, as Python's own have from 3.14 on.
        time_limit: Seconds that a task may take; None for any time.
    """

    def __init__(self, executor: Executor | Callable[[], Executor], time_limit: float | None = None) -> None:
        self._start = None if isinstance(executor, Executor) else executor
        self._executor = executor if isinstance(executor, Executor) else executor()
        self._time_limit = time_limit
        self._tasks: list[Task] = []  # submitted and not yet handed back

    def submit(self, name: str, function: Callable[..., Any], *arguments: Any) -> Task:
        """Hand out a task; the function must be found by name in the worker."""
        task = Task(name, function, arguments)
        self._tasks.append(task)
        try:
            self._send(task)
        except RuntimeError:  # the executor is broken: found out, and mended, when a result is asked for
            task.future = None
        return task

    def result(self, task: Task) -> Any:
        """Wait for a task.

        Raises:
            ValueError: If the task raised one.
            OSError: If the task raised one.
            MemoryError: If the task raised one; the message says what to lower.
            TaskFailed: If the task raised any other exception, or was lost too often.
        """
        try:
            answer = self._answer(task)
        except Exception as error:
            self._compute_again(error)
            answer = self._answer(task)
        self._tasks.remove(task)
        if isinstance(answer, Raised):
            failed = TaskFailed(f"{task.name} failed:\n{answer.text}")
            if isinstance(answer.error, (ValueError, OSError, MemoryError)):
                raise answer.error from failed
            raise failed
        return answer

    def close(self) -> None:
        """Drop all tasks, and end the executor if it is ours."""
        for task in self._tasks:
            if task.future is not None:
                task.future.cancel()
        self._tasks = []
        if self._start is not None:
            _end(self._executor)

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, task: Task) -> None:
        task.future = self._executor.submit(call, task.function, *task.arguments)

    def _answer(self, task: Task) -> Any:
        if task.future is None:
            raise RuntimeError("its executor is broken")
        try:
            return task.future.result(self._time_limit)
        except TimeoutError:
            raise RuntimeError(f"no answer within {self._time_limit:g} s") from None

    def _compute_again(self, error: Exception) -> None:
        lost = [task for task in self._tasks if not task.answered]
        print(f"a worker was lost ({_words(error)}): computing {len(lost)} tasks again", file=SAID)
        self._restart()
        for task in lost:
            for attempt in range(2, ATTEMPTS + 1):
                try:
                    self._send(task)
                    self._answer(task)
                    break
                except Exception as again:
                    self._restart()
                    if attempt == ATTEMPTS:
                        raise TaskFailed(
                            f"{task.name} lost its worker {ATTEMPTS} times ({_words(again)})"
                        ) from again

    def _restart(self) -> None:
        if self._start is not None:
            _end(self._executor)
            self._executor = self._start()


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker does: call the function, and return an exception rather than raise it."""
    try:
        return function(*arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return Raised(RuntimeError(repr(error)), traceback.format_exc())
        return Raised(error, traceback.format_exc())


def _end(executor: Executor) -> None:
    if (kill := getattr(executor, "kill_workers", None)) is not None:
        kill()
    else:
        with contextlib.suppress(Exception):
            executor.shutdown(wait=False, cancel_futures=True)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
