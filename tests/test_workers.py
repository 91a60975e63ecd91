"""The same search by any number of workers, whatever happens to them."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import evolve
from command_lines import assert_refused
from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.crew import Crew, TaskFailed
from evolution.domain import Domain, Evaluation
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.domains.toy import ToyNetwork
from evolution.experiment import Experiment, resume
from evolution.local_pool import LocalPool, ignore_signals
from evolution.workers import Workers
from paper.table_s2 import experiment
from safe_mutation import GaussianMutation
from troubled_tasks import die_while_answering_once, fail, fail_strangely, hang_once

EXAMPLES = Path(evolve.__file__).parent
pool = partial(LocalPool, 2, ignore_signals)


@pytest.fixture(autouse=True)
def one_thread():
    """As on the command lines and in workers: torch's sums are rounded otherwise by several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Trouble(Domain):
    """Two weights; one batch in so many meets trouble, the first times that a worker evaluates it."""

    name: ClassVar[str] = "trouble"
    kind: str = "none"
    times: int = 0
    one_in: int = 60
    marks: str = ""  # folder with a file for each troubled batch, a byte for each time

    @cached_property
    def network(self):
        return ToyNetwork()

    def evaluate(self, genomes):
        content = hashlib.sha256(genomes.tobytes()).digest()
        if self.marks and len(genomes) < 5 and content[0] * self.one_in < 256:
            with open(Path(self.marks) / content.hex(), "ab") as mark:
                mark.write(b"x")
                before = mark.tell() - 1
            if before < self.times:
                self.strike()
        errors = np.square(genomes.astype(np.float64) - 0.3).sum(1)
        ones = np.ones((len(genomes), 1, 2), np.float32)
        return Evaluation(-errors, errors < 0, ones, genomes)

    def strike(self):
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == "raise":
            raise ZeroDivisionError("a strange evaluation")


def small(domain=None, *, runs=4, group=2, lag=2, budget=40):
    domain = domain or Trouble()
    algorithm = SteadyStateGA(population_size=10, tournament_size=3)
    mutation = GaussianMutation(domain.network, sigma=0.1)
    return Experiment(domain, mutation, algorithm, 1, runs, budget, group=group, lag=lag)


def digest(lockstep):
    """Everything that a search has come to."""
    state = lockstep.state()
    content = b"".join(name.encode() + np.array(state[name]).tobytes() for name in sorted(state))
    return hashlib.sha256(content).hexdigest()


def history(experiment, breeder=None):
    """The digest after each step."""
    lockstep = experiment.lockstep()
    return [digest(lockstep) for _ in lockstep.run(breeder)]


def by_workers(experiment, executor, **options):
    breeder = Workers(experiment.domain, experiment.operator, executor, **options)
    try:
        return history(experiment, breeder)
    finally:
        breeder.close()


@pytest.mark.parametrize(("operator", "lag", "numbers"), [("SM-G-SUM", 3, (1, 3)), ("SM-G-SO", 1, (2,))])
def test_any_number_of_workers_gives_the_same_history(operator, lag, numbers):
    one = experiment(RecurrentParity(), operator, runs=3, max_evaluations=262)
    one = Experiment(**{**vars(one), "group": 2, "lag": lag})
    expected = history(one)
    for number in numbers:
        assert by_workers(one, partial(LocalPool, number, ignore_signals)) == expected
    with ThreadPoolExecutor(3) as threads:  # any executor of Python's
        assert by_workers(one, threads) == expected


class Unlucky(Executor):
    """Two workers, of which one takes every new task and the other all that are sent again."""

    def __init__(self, monkeypatch):
        self.known = [{}, {}]  # what each of them has been sent
        self.bred = [0, 0]
        self.seen = set()
        self.monkeypatch = monkeypatch

    def submit(self, function, *arguments):
        births = arguments[-1]
        who = int(births in self.seen)
        self.seen.add(births)
        answer = Future()
        with self.monkeypatch.context() as patched:
            patched.setattr("evolution.workers._sent", self.known[who])
            answer.set_result(function(*arguments))
        self.bred[who] += answer.result() is not None
        return answer


def test_a_worker_that_takes_every_new_task_is_told_what_to_do(monkeypatch):
    """Else it hands each of them back, and another breeds everything."""
    unlucky = Unlucky(monkeypatch)
    assert by_workers(small(), unlucky) == history(small())
    assert unlucky.bred[0] > 10 * unlucky.bred[1]


def test_another_lag_is_another_search_of_the_same_algorithm():
    one, three = history(small(lag=1)), history(small(lag=3))
    assert one[-1] != three[-1]
    assert len(three) >= len(one)


def test_child_i_is_bred_after_child_i_minus_lag_has_taken_its_place():
    told, sent = [], []

    class Noting(Workers):
        def submit(self, births):
            sent.extend((birth.index, len(told)) for birth in births if birth.parent is not None)
            return super().submit(births)

    one = small(runs=1, group=1, lag=3)
    with ThreadPoolExecutor(3) as threads:
        workers = Noting(one.domain, one.operator, threads)
        lockstep = one.lockstep()
        for number in lockstep.run(workers):
            told.extend([None] * number)
    assert sent == [(index, max(10, index - 2)) for index in range(10, 40)]


def history_after(one, cut):
    """Of a search that goes on from the state that another had after a step."""
    lockstep = one.lockstep()
    for number, _ in enumerate(lockstep.run()):
        if number == cut:
            break
    again = one.lockstep()
    again.load({name: np.array(array) for name, array in lockstep.state().items()})
    return [digest(again) for _ in again.run()]


def test_a_search_goes_on_from_any_step_with_its_children_in_the_making():
    one = small(runs=5, group=2, lag=3)
    expected = history(one)
    for cut in (0, 1, 2, 3, 5, 12, 30, len(expected) - 2):
        assert history_after(one, cut) == expected[cut + 1 :], cut


def test_safe_mutation_goes_on_with_what_it_had_measured_of_parents_in_the_making():
    one = experiment(RecurrentParity(), "SM-G-ABS", runs=3, max_evaluations=280)
    one = Experiment(**{**vars(one), "group": 2, "lag": 4})
    expected = history(one)
    for cut in (4, 9, 22):
        assert history_after(one, cut) == expected[cut + 1 :], cut


def test_groups_and_lags_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="expected lag to be at least 1, got 0"):
        small(lag=0)
    with pytest.raises(ValueError, match="expected group to be at least 1, got 0"):
        small(group=0)
    domain = Trouble()
    with pytest.raises(ValueError, match=r"expected a lag of 1 for hill-climber.*, got 2"):
        Experiment(domain, GaussianMutation(domain.network, sigma=0.1), HillClimber(), 1, 1, 9, lag=2)


def troubled(kind, times, folder):
    """An experiment some of whose batches of children meet trouble so many times."""
    folder.mkdir()
    return small(Trouble(kind=kind, times=times, marks=str(folder)))


def test_a_worker_lost_in_the_middle_costs_nothing(tmp_path, capfd):
    one = troubled("kill", 2, tmp_path / "marks")
    expected = history(small())
    assert by_workers(one, pool) == expected
    assert "a worker was lost" in capfd.readouterr().err
    counts = [mark.stat().st_size for mark in (tmp_path / "marks").iterdir()]
    assert counts and set(counts) == {3}


def test_a_task_that_takes_too_long_is_computed_again_and_so_are_those_beside_it(tmp_path, capfd):
    with Crew(pool, time_limit=4) as crew:
        tasks = [crew.submit("one", abs, -1), crew.submit("three", hang_once, tmp_path / "mark")]
        tasks += [crew.submit("four", abs, -4), crew.submit("five", abs, -5)]
        assert [crew.result(task) for task in tasks] == [1, 3, 4, 5]
    assert "a worker was lost (RuntimeError: no answer within 4 s)" in capfd.readouterr().err
    assert (tmp_path / "mark").exists()


def test_a_worker_killed_while_it_answers_is_noticed_at_once(tmp_path):
    with Crew(pool) as crew:  # without a time limit
        tasks = [crew.submit("one", abs, -1)]
        tasks += [crew.submit("seven", die_while_answering_once, tmp_path / "mark")]
        answers = ThreadPoolExecutor(1)
        assert answers.submit(lambda: [crew.result(task) for task in tasks]).result(timeout=60) == [1, 7]


def test_a_task_that_always_kills_its_worker_is_named_and_everything_before_is_kept(tmp_path):
    one = troubled("kill", 99, tmp_path / "marks")
    lockstep, steps = one.lockstep(), 0
    workers = Workers(one.domain, one.operator, partial(LocalPool, 1, ignore_signals))
    with pytest.raises(TaskFailed, match=r"evaluation \d+ of run \d.* lost its worker 3 times"):
        for _ in lockstep.run(workers):
            steps += 1
    workers.close()
    again = small().lockstep()
    again.load({name: np.array(array) for name, array in lockstep.state().items()})
    assert [digest(again) for _ in again.run()] == history(small())[steps:]


def test_a_task_that_raises_is_named_with_its_traceback(tmp_path):
    one = troubled("raise", 99, tmp_path / "marks")
    with pytest.raises(TaskFailed, match=r"(?s)evaluation \d+ of run .*in strike.*a strange evaluation"):
        by_workers(one, pool)


def test_exceptions_come_back_as_they_were_raised_where_a_user_can_help_it():
    with Crew(partial(LocalPool, 1, ignore_signals)) as crew:
        with pytest.raises(ValueError, match="expected a number"):
            crew.result(crew.submit("one", fail, ValueError("expected a number")))
        with pytest.raises(TaskFailed, match=r"two failed(?s:.*)Unpicklable"):
            crew.result(crew.submit("two", fail_strangely))
        assert crew.result(crew.submit("three", abs, -3)) == 3


def running(marker):
    """Processes whose command line or environment has a marker."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker.encode() in (folder / "environ").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(folder.name)] if state != "Z" else []
        except OSError:
            pass
    return found


COMMAND = ["recurrent-parity", "--operator", "control", "--runs", "4"]


def start(folder, *more, marker="none"):
    arguments = [*COMMAND, "--group", "2", "--workers", "2", *more]
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / "evolve.py"), *arguments, "--output", str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MARKER": marker},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(process, path, number):
    while not (path.exists() and path.read_bytes().count(b"\n") >= number):
        time.sleep(0.01)
        assert process.poll() is None, process.communicate()


def test_a_worker_that_ends_while_the_pool_is_ended_is_no_trouble(monkeypatch):
    crew = pool()
    crew.submit(os.getpid).result(timeout=60)
    workers = crew.context.processes
    for worker in workers:
        worker.kill()
        worker.join()
        monkeypatch.setattr(worker, "is_alive", lambda: True)  # as it was a moment ago
    crew.kill_workers()
    assert all(worker.exitcode is not None for worker in workers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_driver(tmp_path, number):
    marker = f"marker-{os.getpid()}-{number}"
    process = start(tmp_path, marker=marker)
    wait_for_lines(process, tmp_path / "history.jsonl", 4)
    assert len(running(marker)) >= 3  # the driver and two workers
    process.send_signal(number)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while running(marker):
        assert time.monotonic() < deadline, running(marker)
        time.sleep(0.1)


def test_ten_seeded_kills_of_workers_and_driver_change_nothing(tmp_path):
    """``soak.py`` does as many as one likes."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("soak.py"), "10", "--seed", "4"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "{'killed': 10, " in done.stdout and "all the same" in done.stdout, done.stdout


def test_checkpoints_that_take_long_to_write_are_written_more_rarely(tmp_path, monkeypatch):
    counts = []
    for quick in (60.0, 1e-4):
        written = []
        monkeypatch.setattr("evolution.experiment.CHECKPOINT_INTERVAL", 1e-3)
        monkeypatch.setattr("evolution.experiment.QUICK", quick)
        monkeypatch.setattr(
            "evolution.checkpoint.save", lambda *arguments, w=written: (w.append(1), time.sleep(0.02))
        )
        one = small(budget=60)
        for _ in evolve.advance(one.lockstep(), tmp_path / "checkpoint.npz", one.record()):
            time.sleep(0.002)
        counts.append(len(written))
    assert counts[1] < 0.6 * counts[0]
    assert counts[1] >= 1


def test_checkpoints_are_written_beside_the_search_and_hold_what_was_true_then(tmp_path, monkeypatch):
    one = small(budget=60)
    monkeypatch.setattr("evolution.experiment.CHECKPOINT_INTERVAL", 0)
    entered, proceed = threading.Event(), threading.Event()
    write = evolve.advance.__globals__["checkpoint"].write_npz

    def slowly(*arguments, **keywords):
        entered.set()
        assert proceed.wait(30)
        write(*arguments, **keywords)

    monkeypatch.setattr("evolution.checkpoint.write_npz", slowly)
    lockstep = one.lockstep()
    steps = evolve.advance(lockstep, tmp_path / "checkpoint.npz", one.record())
    next(steps)
    next(steps)  # the first checkpoint is on its way
    assert entered.wait(30)
    then = 10  # a group's first founders were told
    proceed.set()
    lockstep_then, _ = None, None
    steps.close()
    lockstep_then, _ = resume(one, tmp_path / "checkpoint.previous.npz")
    assert lockstep_then.evaluations == then


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "argument --workers: expected at least 1, got 0"),
        (["--lag", "0"], "argument --lag: expected at least 1, got 0"),
        (["--group", "-1"], "argument --group: expected at least 1, got -1"),
        (["--time-limit", "0"], "argument --time-limit: expected a positive number up to 1e+08, got 0"),
        (["--algorithm", "hill-climber", "--lag", "2"], "expected a lag of 1 for hill-climber"),
        (["--ray", "nowhere"], "expected a Ray cluster as HOST:PORT or auto, got 'nowhere'"),
        (["--ray", "127.0.0.1:9"], "expected a Ray cluster at 127.0.0.1:9, got"),
    ],
)
def test_bad_input_is_one_line_within_seconds(arguments, message, tmp_path, capsys):
    if "--ray" in arguments:
        pytest.importorskip("ray")
    began = time.monotonic()
    run = ["recurrent-parity", *arguments, "--output", str(tmp_path / "run")]
    assert_refused(evolve.main, run, message, capsys)
    assert time.monotonic() - began < 30


def test_what_brings_nothing_is_said(tmp_path, capsys):
    arguments = ["recurrent-parity", "--operator", "control", "--runs", "1", "--max-evaluations", "251"]
    cores = multiprocessing.cpu_count()
    assert evolve.main([*arguments, "--workers", str(cores + 1), "--output", str(tmp_path)]) == 0
    errors = capsys.readouterr().err
    assert f"{cores + 1} workers on {cores} cores" in errors
    assert "workers for 1 tasks at a time (1 groups, lag 1)" in errors


def test_another_lag_or_group_is_another_experiment(tmp_path, capsys):
    arguments = ["recurrent-parity", "--operator", "control", "--runs", "2", "--max-evaluations", "260"]
    arguments += ["--output", str(tmp_path)]
    assert evolve.main(arguments) == 0
    assert evolve.main([*arguments, "--lag", "2"]) == 2
    assert "lag: 1 there, 2 now" in capsys.readouterr().err
    assert evolve.main([*arguments, "--group", "1"]) == 2
    assert "group: 2 there, 1 now" in capsys.readouterr().err


def test_ray_gives_the_same_history():
    pytest.importorskip("ray")
    from evolution.ray_executor import RayExecutor

    one = experiment(RecurrentParity(), "SM-G-SUM", runs=2, max_evaluations=256)
    one = Experiment(**{**vars(one), "group": 1, "lag": 2})
    ray = RayExecutor(workers=2)
    try:
        assert by_workers(one, ray) == history(one)
    finally:
        ray.shutdown()


def test_dask_gives_the_same_history():
    distributed = pytest.importorskip("distributed")
    one = experiment(RecurrentParity(), "SM-G-SUM", runs=2, max_evaluations=256)
    one = Experiment(**{**vars(one), "group": 1, "lag": 2})
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        assert by_workers(one, client.get_executor(pure=False)) == history(one)
