"""evolve.py and reproduce.py as a user runs them: results, interruption, resumption, bad input."""

import dataclasses
import json
import os
import pickle
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import evolve
import reproduce
from command_lines import assert_refused
from evolution import checkpoint
from evolution.domains import DOMAINS
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import resume
from evolution.individual import Individual
from evolution.result import Search
from evolution.workers import Here
from forked import Forked
from paper.figure import Request
from paper.figures.open_choices import CHOICES
from paper.figures.success_curves import FIGURE_1, FIGURE_3
from paper.style import METHODS
from paper.table_s2 import UNTUNED, experiment

RESULTS = Path(reproduce.__file__).parent / "results"


def small(output, *more, domain="recurrent-parity", operator="SM-G-SUM"):
    return [
        domain,
        "--operator",
        operator,
        "--runs",
        "2",
        "--max-evaluations",
        "600",
        "--output",
        str(output),
        *more,
    ]


def start(script, *arguments, checkpoint_interval=60, kill_after=None):
    """Run a script in a process of its own, which may kill itself after so many evaluations."""
    kill = (
        ""
        if kill_after is None
        else f"from evolution import lockstep; import os; tell = lockstep.Replicate.tell; told = [0]\n"
        f"def tell_or_die(self, children):\n"
        f"    tell(self, children); told[0] += len(children)\n"
        f"    if told[0] > {kill_after}: os.kill(os.getpid(), 9)\n"
        f"lockstep.Replicate.tell = tell_or_die\n"
    )
    program = kill + (
        f"import sys, {script}; from evolution import experiment; "
        f"experiment.CHECKPOINT_INTERVAL = {checkpoint_interval}; "
        f"sys.exit({script}.main())"
    )
    return Forked(program, *arguments)


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_the_same_seed_gives_the_same_history_and_another_another(tmp_path):
    for name in ("a", "b"):
        assert evolve.main(small(tmp_path / name)) == 0
    assert evolve.main(small(tmp_path / "c", "--seed", "2")) == 0
    a, b, c = ((tmp_path / name / "history.jsonl").read_bytes() for name in "abc")
    assert a == b != c
    record = json.loads((tmp_path / "a" / "record.json").read_text())
    assert record["seed"] == 1
    assert record["operator"]["sigma"] == 0.001
    assert record["algorithm"]["population_size"] == 250
    assert record["domain"]["experiences_kept"] == 100
    assert record["versions"]["torch"].startswith("2.")


def test_history_tells_how_the_runs_went(tmp_path):
    evolve.main(small(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    for run in (0, 1):
        own = [line for line in lines if line["run"] == run]
        assert [line["evaluations"] for line in own] == [250, 500]
        assert own[1]["mean_fitness"] > own[0]["mean_fitness"]


def test_the_maze_leaves_a_champion_and_a_picture(tmp_path, capsys):
    assert evolve.main(small(tmp_path, domain="breadcrumb-hard-maze", operator="SM-G-SO")) == 0
    with np.load(tmp_path / "champion.npz") as champion:
        assert champion["genome"].shape == (1266,)
        assert champion["experiences"].shape == (100, 11)
        best = champion["fitness"]
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert best >= max(line["best_fitness"] for line in lines)
    assert (tmp_path / "solution.png").read_bytes().startswith(b"\x89PNG")
    assert "of the children by control" in capsys.readouterr().out


@pytest.mark.parametrize("operator", UNTUNED)
def test_operators_with_nothing_to_tune_have_the_divergence_that_is_given_or_their_own(operator, tmp_path):
    arguments = ["recurrent-parity", "--runs", "1", "--max-evaluations", "500"]
    if operator != "SafeMutation":  # which is the default
        arguments += ["--operator", operator]
    for name, more, divergence in (("own", [], 0.03), ("given", ["--divergence", "0.1"], 0.1)):
        assert evolve.main([*arguments, *more, "--output", str(tmp_path / name)]) == 0
        recorded = json.loads((tmp_path / name / "record.json").read_text())["operator"]
        assert recorded["class"] == operator
        assert recorded["divergence"] == divergence
    own, given = ((tmp_path / name / "history.jsonl").read_text() for name in ("own", "given"))
    assert own != given


def test_it_stops_at_the_wanted_number_of_solutions_and_stays_stopped(tmp_path, capsys):
    wanted = ["--runs", "6", "--solutions", "1", "--output", str(tmp_path)]
    arguments = ["toy", "--operator", "SM-G-ABS", *wanted]
    assert evolve.main(arguments) == 0
    assert "1 of 6 runs solved" in capsys.readouterr().out
    with np.load(tmp_path / "champion.npz") as champion:
        assert champion["solved"]
        assert DOMAINS["toy"]().evaluate(champion["genome"][None]).fitness > -0.01
    before = files(tmp_path)
    assert evolve.main(arguments) == 0
    assert "1 of 6 runs solved" in capsys.readouterr().out
    assert {path: content for path, content in files(tmp_path).items() if "checkpoint" not in path.name} == {
        path: content for path, content in before.items() if "checkpoint" not in path.name
    }


def test_of_several_solutions_the_domains_favourite_is_shown_or_the_earliest(monkeypatch):
    lockstep = experiment(
        DOMAINS["breadcrumb-hard-maze"](), "control", runs=3, max_evaluations=250
    ).lockstep()
    for replicate, (at, fitness) in zip(
        lockstep.replicates, [(None, -1.0), (900, -9.0), (700, -5.0)], strict=True
    ):
        replicate.solved_at = at
        replicate.champion = Individual(
            np.zeros(1266, np.float32), fitness, at is not None, np.zeros((1, 11))
        )
    favourite = type(lockstep.domain)
    monkeypatch.setattr(favourite, "preference", lambda self, solution, seed: -solution.fitness)
    assert evolve.choose_champion(lockstep, 1).run == 1
    monkeypatch.setattr(favourite, "preference", lambda self, solution, seed: 0.0)
    assert evolve.choose_champion(lockstep, 1).run == 2
    for replicate in lockstep.replicates:
        replicate.solved_at = None
    assert evolve.choose_champion(lockstep, 1).run == 0


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path):
    arguments = ["recurrent-parity", "--runs", "2", "--max-evaluations", "1200", "--operator", "SM-G-SUM"]
    assert evolve.main([*arguments, "--output", str(tmp_path / "whole")]) == 0
    process = start("evolve", *arguments, "--output", tmp_path / "cut")
    history = tmp_path / "cut" / "history.jsonl"
    while not (history.exists() and history.read_text().count("\n") >= 2):
        time.sleep(0.02)
        assert process.poll() is None, process.wait()
    process.send_signal(signal.SIGINT)
    status, _, errors = process.wait()
    assert status == 130
    assert "the same command goes on" in errors
    assert (tmp_path / "cut" / "champion.npz").exists()
    assert evolve.main([*arguments, "--output", str(tmp_path / "cut")]) == 0
    for name in ("history.jsonl", "champion.npz", "record.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-maze"], "breadcrumb-hard-maze"),
        (["recurrent-parity", "--operator", "SM-X"], "SM-G-ABS"),
        (["recurrent-parity", "--algorithm", "magic"], "hill-climber"),
        (
            ["recurrent-parity", "--variant", "none"],
            "expected a variant of recurrent-parity out of ['one output']",
        ),
        (["recurrent-parity", "--runs", "0"], "expected at least 1 replicate, got 0"),
        (["recurrent-parity", "--solutions", "9"], "expected 1 to 8, the number of runs, got 9"),
        (["recurrent-parity", "--seed", "-1"], "expected a seed from 0"),
        (
            ["recurrent-parity", "--operator", "SM-G-SO", "--intensity", "0"],
            "expected sigma to be a positive number, got 0",
        ),
        (
            ["recurrent-parity", "--intensity", "1"],
            "expected a divergence or nothing for SafeMutation, got an int",
        ),
        (["recurrent-parity", "--divergence", "-1"], "expected divergence to be a positive number, got -1"),
        (["recurrent-parity", "--divergence", "1", "--intensity", "1"], "not allowed with argument"),
        (
            ["recurrent-parity", "--operator", "control", "--intensity", "nan"],
            "expected sigma to be a positive number, got nan",
        ),
        (["recurrent-parity", "--max-evaluations", "10"], "at least the initial population, 250"),
        (["recurrent-parity", "--output", "/proc/no/folder"], "/proc/no"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert_refused(evolve.main, arguments, message, capsys)
    assert files(tmp_path) == {}


def test_a_run_folder_of_other_settings_is_left_alone(tmp_path, capsys):
    evolve.main(small(tmp_path))
    before = files(tmp_path)
    assert evolve.main(small(tmp_path, "--seed", "7")) == 2
    assert "seed: 1 there, 7 now" in capsys.readouterr().err
    assert evolve.main(small(tmp_path, "--variant", "one output")) == 2
    assert "domain.outputs: 2 there, 1 now" in capsys.readouterr().err
    assert evolve.main(small(tmp_path, "--algorithm", "hill-climber")) == 2
    assert "algorithm.class: 'SteadyStateGA' there, 'HillClimber' now" in capsys.readouterr().err
    assert files(tmp_path) == before


def reproduction(folder, *more):
    return [
        "figure-1", "--methods", "SM-G-SUM", "control", "--runs", "2", "--max-evaluations", "500",
        "--results", str(folder / "results"), "--work", str(folder / "work"), *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a reproduction that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert reproduce.main(reproduction(folder)) == 0
    return folder


def test_killing_a_reproduction_again_and_again_changes_nothing(whole, tmp_path):
    for evaluations in (0, 100, 300, 400, 700):  # of all runs together, when it is killed
        process = start(
            "reproduce", *reproduction(tmp_path), checkpoint_interval=0.02, kill_after=evaluations
        )
        status, _, errors = process.wait()
        assert status == -signal.SIGKILL, errors
    assert reproduce.main(reproduction(tmp_path)) == 0
    assert files(tmp_path / "results") == files(whole / "results")
    assert (whole / "results" / "figure-1" / "SM-G-SUM.json").exists()
    assert not list((tmp_path / "work").rglob("*.npz"))


def test_a_result_that_is_there_leaves_a_checkpoint_to_those_whose_results_go_elsewhere(whole, tmp_path):
    of_another = tmp_path / "work" / "figure-1" / "SM-G-SUM" / "checkpoint.npz"
    of_another.parent.mkdir(parents=True)
    of_another.write_bytes(b"interrupted")
    assert reproduce.main([*reproduction(whole), "--work", str(tmp_path / "work")]) == 0
    assert of_another.read_bytes() == b"interrupted"


def a_worker_searches():
    """Whether one of this process's own processes defers signals to the end of a step."""
    numbers = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    spawned = [
        Path("/proc", one) for one in numbers if b"spawn_main" in Path("/proc", one, "cmdline").read_bytes()
    ]
    caught = [re.search(r"SigCgt:\t(\w+)", (one / "status").read_text()) for one in spawned]
    return any(found and int(found[1], 16) >> (signal.SIGTERM - 1) & 1 for found in caught)


def test_several_processes_that_are_ended_go_on_to_the_same_files(whole, tmp_path, capsys):
    def end():
        while not a_worker_searches():  # the other may be starting, and ends at once: the pool is broken
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    assert reproduce.main(reproduction(tmp_path, "--workers", "2")) == 130
    ending.join()
    assert "the same command goes on" in capsys.readouterr().err
    assert list((tmp_path / "work").rglob("checkpoint.npz"))
    assert files(tmp_path / "results").keys() != files(whole / "results").keys()
    assert reproduce.main(reproduction(tmp_path)) == 0
    assert files(tmp_path / "results") == files(whole / "results")
    assert not list((tmp_path / "work").rglob("*.npz"))


def test_workers_share_nothing_that_one_could_hold_when_it_ends(monkeypatch):
    class Pool(ThreadPoolExecutor):
        def __init__(self, *arguments, **keywords):
            pickle.dumps((arguments, keywords))  # no lock can be pickled
            super().__init__(1)

    monkeypatch.setattr(reproduce, "LocalPool", Pool)
    done = []
    reproduce.run_side_by_side([partial(done.append, number) for number in range(3)], 2)
    assert done == [0, 1, 2]


def test_results_of_other_settings_are_not_mixed(whole, capsys):
    before = files(whole)
    assert reproduce.main([*reproduction(whole), "--seed", "5"]) == 2
    assert "seed: 1 there, 5 now" in capsys.readouterr().err
    assert files(whole) == before


def test_every_open_choice_is_an_experiment_of_its_own(tmp_path):
    request = Request(1, (), tmp_path, tmp_path / "work", runs=1, max_evaluations=255)
    for name, choice in CHOICES.items():
        record = choice.experiment(request).record()
        assert record["domain"]["network"].startswith(
            "ParityNetwork" if choice.figure is FIGURE_1 else "FeedForward of 11-8"
        )
        usual = experiment(
            DOMAINS[choice.figure.domain](), choice.method, runs=1, max_evaluations=255
        ).record()
        changed = {part for part in record if record[part] != usual[part]}
        expected = {"unit": "operator", "mean": "operator", "unclipped": "operator"}
        assert changed == {expected.get(name.rsplit("-", 1)[1], "domain")}


def test_the_open_choices_run_and_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "paper.figures.open_choices.CHOICES",
        {name: CHOICES[name] for name in ("maze-SO-unit", "parity-SO-one-output")},
    )
    sizes = ["--runs", "2", "--max-evaluations", "255"]
    folders = ["--results", str(tmp_path), "--work", str(tmp_path / "work")]
    for figure in (FIGURE_1.name, FIGURE_3.name, "choices"):
        methods = [] if figure == "choices" else ["--methods", "control", "SM-G-SO"]
        assert reproduce.main([figure, *methods, *sizes, *folders]) == 0
    assert "one sigmoid output" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["choices", "--methods", "SM-R"], "--methods: expected none with choices"),
        (
            ["first-person-pilot", "--max-evaluations", "9"],
            "--max-evaluations: expected none with first-",
        ),
        (["figure-S2", "--runs", "9"], "--runs: expected none with figure-S2"),
        (["claims", "--runs", "9"], "--runs: expected none with claims"),
        (["figure-1", "--seed", "-1"], "--seed: expected a seed from 0 to 2**63 - 1, got -1"),
        (["figure-1", "--seed", f"{2**64}"], "--seed: expected a seed from 0 to 2**63 - 1, got 1844"),
        (["figure-1", "--share", "3/2"], "expected K/N with 1 <= K <= N, got '3/2'"),
        (
            ["figure-1", "--time-limit", "inf"],
            "expected a positive number up to 1e+08, got inf",
        ),
        (["figure-6", "--methods", "SM-R"], "expected methods that figure-6 has, got SM-R"),
    ],
)
def test_arguments_that_a_figure_does_not_follow_are_refused(arguments, message, tmp_path, capsys):
    folders = ["--results", str(tmp_path), "--work", str(tmp_path / "work")]
    assert_refused(reproduce.main, [*arguments, *folders], message, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", reproduce.FIGURES)
def test_every_figure_says_what_it_follows(name, tmp_path):
    """Against what its jobs are when one thing is asked for otherwise."""
    if name == "beyond-gymnasium":
        pytest.importorskip("Box2D")
    figure = reproduce.FIGURES[name]

    def jobs(**changed):
        asked = {"methods": METHODS, "runs": 2, "max_evaluations": 600} | changed
        for job in figure.jobs(Request(1, results=RESULTS, work=tmp_path, **asked)):
            if isinstance(job, Search):
                one = job.experiment
                yield job.result, one.runs, one.max_evaluations, one.first
            else:
                yield job.result, repr(job.settings())

    changes = {"methods": METHODS[1:2], "runs": 3, "max_evaluations": 700}
    usual, parts, follows = list(jobs()), "first" in figure.follows, figure.follows - {"first"}
    assert {one for one, value in changes.items() if list(jobs(**{one: value})) != usual} == follows
    if parts:
        for one, first in zip(jobs(first=2), usual, strict=True):
            assert one[0] == first[0].with_stem(f"{first[0].stem}.2-3") and one[1:] == (*first[1:3], 2)


def test_whoever_computes_in_this_process_uses_the_device_of_the_experiment(tmp_path):
    quick = experiment(RecurrentParity(), "SM-G-SUM", runs=2, max_evaluations=300)
    on_device = dataclasses.replace(quick, device=torch.device("cpu"))
    given = Here(on_device.domain, on_device.operator, on_device.device)
    for folder, breeder in (("given", given), ("default", None)):
        (tmp_path / folder).mkdir()
        evolve.evolve_in(tmp_path / folder, on_device, 2, breeder)
    given, default = ((tmp_path / folder / "history.jsonl").read_bytes() for folder in ("given", "default"))
    assert given == default


def test_an_unknown_figure_lists_the_known(capsys):
    with pytest.raises(SystemExit) as stop:
        reproduce.main(["figure-99"])
    assert stop.value.code == 2
    assert "figure-S2" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys):
    small_one = experiment(RecurrentParity(), "control", runs=2, max_evaluations=2000)
    lockstep, record = small_one.lockstep(), small_one.record()
    saved, kept = tmp_path / "checkpoint.npz", []
    for number, _ in enumerate(lockstep.run()):
        if number in (50, 90):
            checkpoint.save(saved, lockstep.state(), record)
            kept.append([replicate.evaluations for replicate in lockstep.replicates])
        if number == 90:
            break
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1  # a single flipped bit
    saved.write_bytes(content)
    again, _ = resume(small_one, saved)
    assert [replicate.evaluations for replicate in again.replicates] == kept[0] != kept[1]
    assert f"damaged checkpoint {saved}" in capsys.readouterr().err


def test_a_checkpoint_of_another_machine_goes_on_with_a_word(tmp_path, capsys, monkeypatch):
    small_one = experiment(RecurrentParity(), "control", runs=1, max_evaluations=300)
    lockstep = small_one.lockstep()
    next(lockstep.run())
    checkpoint.save(tmp_path / "checkpoint.npz", lockstep.state(), small_one.record())
    monkeypatch.setattr("evolution.experiment.machine", lambda: "an abacus")
    assert resume(small_one, tmp_path / "checkpoint.npz")[0].evaluations == 250
    assert "goes on on an abacus" in capsys.readouterr().err


def test_a_result_of_an_earlier_version_is_read_and_not_taken_for_finished(tmp_path, capsys):
    folder = tmp_path / "figure-1"
    folder.mkdir()
    old = {"command": "", "settings": {"seed": 1}, "runs": [{"run": 0, "solved_at": 500}]}
    (folder / "control.json").write_text(json.dumps(old))
    assert reproduce.main(["figure-1", "--results", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    assert "was written by an earlier version" in capsys.readouterr().err
    assert FIGURE_1.solved(tmp_path)["control"].tolist() == [500]
    assert reproduce.main(["claims", "--results", str(tmp_path)]) == 0
    assert (folder / "figure-1.png").exists()
