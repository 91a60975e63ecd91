"""The pool of processes as an executor: its futures, and the ends that it and its processes may come to."""

import gc
import os
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, wait

import pytest

from evolution.local_pool import LocalPool


def unpicklable():
    return lambda: 0


def fail_unreadably():
    raise Unreadable("a", "b")


class Unreadable(Exception):
    def __init__(self, first, second):
        super().__init__(first)  # so that it cannot be made again from its arguments


def fail_with_a_lock():
    raise OSError("disk full", threading.Lock())


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_calls_are_answered_in_other_processes_and_shutdown_waits_for_them():
    pool = LocalPool(2)
    pids = [pool.submit(os.getpid) for _ in range(8)]
    keyword = pool.submit(int, "ff", base=16)
    pool.shutdown()
    assert {future.result(0) for future in pids} <= {process.pid for process in pool.processes} - {
        os.getpid()
    }
    assert keyword.result(0) == 255
    assert [process.exitcode for process in pool.processes] == [0, 0]
    with pytest.raises(RuntimeError, match="has been shut down"):
        pool.submit(abs, 1)


def test_arguments_are_sent_as_they_are_when_submitted():
    with LocalPool(1) as pool:
        values = [1, 2]
        slow, later = pool.submit(time.sleep, 0.2), pool.submit(sum, values)
        values.append(100)
        wait([slow, later])
        assert later.result() == 3


def test_exceptions_and_what_cannot_be_pickled_come_back_as_exceptions():
    with LocalPool(1) as pool:
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result(60)
        with pytest.raises(Exception, match="pickle"):
            pool.submit(unpicklable).result(60)
        with pytest.raises(TypeError):
            pool.submit(fail_unreadably).result(60)
        with pytest.raises(Exception, match="pickle"):
            pool.submit(unpicklable())
        assert pool.submit(abs, -3).result(60) == 3


def test_an_exception_says_where_it_arose_also_if_it_cannot_be_pickled():
    with LocalPool(1) as pool:
        with pytest.raises(RuntimeError, match=r"OSError.*disk full") as raised:
            pool.submit(fail_with_a_lock).result(60)
        assert "in fail_with_a_lock" in raised.value.__notes__[0]
        assert pool.submit(abs, -3).result(60) == 3


def test_a_process_that_dies_fails_its_own_call_and_no_other():
    with LocalPool(2) as pool:
        wait([pool.submit(time.sleep, 0.1) for _ in range(2)])  # both have started
        slow = pool.submit(time.sleep, 1)
        with pytest.raises(BrokenExecutor, match=r"worker process \d+ has ended with status 7"):
            pool.submit(os._exit, 7).result(60)
        assert slow.result(60) is None


def test_calls_for_processes_that_are_all_gone_fail_at_once():
    with LocalPool(1) as pool:
        first = pool.submit(os._exit, 1)
        for future in (first, pool.submit(abs, 1), pool.submit(abs, 2)):
            with pytest.raises(BrokenExecutor):
                future.result(60)


def test_calls_that_nobody_has_begun_are_cancelled():
    pool = LocalPool(1)
    pool.submit(abs, 1).result(60)
    running, waiting = pool.submit(time.sleep, 0.5), pool.submit(abs, 1)
    while not running.running():
        time.sleep(0.01)
    pool.shutdown(cancel_futures=True)
    assert running.result(0) is None
    with pytest.raises(CancelledError):
        waiting.result(0)


def test_killed_processes_leave_no_call_waiting():
    pool = LocalPool(2)
    futures = [pool.submit(time.sleep, 600) for _ in range(3)]
    while not futures[1].running():
        time.sleep(0.01)
    pool.kill_workers()
    assert wait(futures, 60).not_done == set()
    assert not any(alive(process.pid) for process in pool.processes)


def test_a_forgotten_pool_takes_its_processes_along():
    pool = LocalPool(1)
    pid = pool.submit(os.getpid).result(60)
    pool.submit(time.sleep, 600)
    del pool
    gc.collect()
    assert not alive(pid)
