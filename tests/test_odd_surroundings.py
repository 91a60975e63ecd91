"""Clocks that go back, folders without locks or not to be written, scripts without a main guard."""

import errno
import fcntl
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

import evolve
import reproduce
from evolution import atomic_file, checkpoint
from evolution.folder_lock import locked
from evolution.interrupts import deferred_interrupts
from evolution.local_pool import LocalPool

SMALL = ["recurrent-parity", "--operator", "control", "--runs", "1", "--max-evaluations", "255"]


def test_a_clock_that_goes_back_changes_nothing(tmp_path, monkeypatch):
    assert evolve.main([*SMALL, "--output", str(tmp_path / "usual")]) == 0
    now = itertools.count(time.time(), -3600)  # an hour earlier at each look
    monkeypatch.setattr(time, "time", lambda: next(now))
    monkeypatch.setattr("evolution.experiment.CHECKPOINT_INTERVAL", 0)
    written, save = [], checkpoint.save

    def noting(path, *arguments):
        save(path, *arguments)
        os.utime(path, (0, -3600 * len(written)))
        written.append(path)

    monkeypatch.setattr("evolution.checkpoint.save", noting)
    back = tmp_path / "back"
    assert evolve.main([*SMALL, "--output", str(back)]) == 0
    assert len(written) > 3  # the search looks at another clock
    (back / "history.jsonl").write_bytes(b"")  # newer than its checkpoint, by its time: still not believed
    assert evolve.main([*SMALL, "--output", str(back)]) == 2
    (back / "history.jsonl").write_bytes((tmp_path / "usual" / "history.jsonl").read_bytes())
    assert evolve.main([*SMALL, "--output", str(back)]) == 0
    for name in ("history.jsonl", "champion.npz"):
        assert (back / name).read_bytes() == (tmp_path / "usual" / name).read_bytes()


@pytest.mark.parametrize("results", ["/proc", "/proc/no/folder"])
def test_a_folder_of_results_that_cannot_be_written_is_named_before_anything_is_computed(
    results, tmp_path, capsys
):
    command = ["figure-1", "--methods", "control", "--runs", "1", "--max-evaluations", "255"]
    assert reproduce.main([*command, "--results", results, "--work", str(tmp_path / "work")]) == 2
    assert results.removesuffix("/folder") in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_folder_without_locks_is_named(number, tmp_path, monkeypatch, capsys):
    def none(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert evolve.main([*SMALL, "--output", str(tmp_path / "run")]) == 2
    assert len(os.listdir("/proc/self/fd")) == opened
    errors = capsys.readouterr().err
    assert f"cannot be locked ({os.strerror(number)}): use a folder on another file system" in errors
    assert str(tmp_path / "run") in errors
    monkeypatch.undo()
    with locked(tmp_path / "run"):
        pass


def test_a_drive_that_syncs_no_folders_takes_checkpoints(tmp_path, monkeypatch):
    sync, number = os.fsync, errno.EINVAL

    def files_only(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr("evolution.atomic_file.os.fsync", files_only)
    atomic_file.write_atomically(tmp_path / "x", b"abc")
    assert (tmp_path / "x").read_bytes() == b"abc"
    number = errno.EIO
    with pytest.raises(OSError, match=str(tmp_path / "x")):
        atomic_file.write_atomically(tmp_path / "x", b"def")


def test_a_worker_that_imports_a_script_without_a_main_guard_ends_with_one_line(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit, match="expected workers to be started below if __name__ == '__main__'"):
        LocalPool(1)


def test_a_pool_whose_processes_cannot_be_started_is_ended_all_the_same(monkeypatch):
    def out_of_processes(process):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", out_of_processes)
    pool = LocalPool(2)
    with pytest.raises(BlockingIOError):
        pool.submit(abs, 1)
    pool.kill_workers()


def test_ctrl_c_and_the_sigterm_that_follows_it_leave_time_to_save():
    with deferred_interrupts() as interrupted:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert interrupted()


@pytest.mark.parametrize("name", ["BreadcrumbHardMaze", "TopdownMaze", "FirstPersonMaze"])
def test_environments_are_compiled_where_others_look_into_their_own_kernels(name):
    program = (
        "import gymnasium, gym_safemaze, numba, numpy\n"
        f"env = gymnasium.make('safemaze/{name}-v0')\n"
        "env.reset(seed=0); env.action_space.seed(0)\n"
        "places = [env.step(env.action_space.sample())[0] for _ in range(20)]\n"
        "print(numpy.stack(places).tobytes().hex()); print(numba.config.DISABLE_JIT)\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for disabled in "01"
    ]
    assert said[0][0] == said[1][0]  # the same arithmetic
    assert [one[1] for one in said] == ["0", "1"]  # theirs as they have set it
