"""evolve.py and reproduce.py as a user runs them: results, interruption, resumption, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import evolve
import reproduce
from evolution import checkpoint
from evolution.algorithms.steady_state_ga import Individual
from evolution.domains.recurrent_parity import evaluate_parity
from evolution.experiment import Experiment
from evolution.networks.feed_forward import ParityNetwork
from paper.figures.open_choices import CHOICES

EXAMPLES = Path(evolve.__file__).parent


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


def start(script, *arguments, checkpoint_interval=60):
    """Run a script in a process of its own, importing the packages this test imports."""
    program = (
        f"import sys, {script}; from evolution import experiment; "
        f"experiment.CHECKPOINT_INTERVAL = {checkpoint_interval}; "
        f"sys.exit({script}.main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    settings = json.loads((tmp_path / "a" / "settings.json").read_text())
    assert settings["seed"] == 1
    assert settings["operator_settings"]["sigma"] == 0.001
    assert settings["versions"]["torch"].startswith("2.")


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


def test_it_stops_at_the_wanted_number_of_solutions_and_stays_stopped(tmp_path, capsys):
    arguments = [
        "recurrent-parity",
        "--operator",
        "SM-R",
        "--runs",
        "6",
        "--solutions",
        "1",
        "--output",
        str(tmp_path),
    ]
    assert evolve.main(arguments) == 0
    assert "1 of 6 runs solved" in capsys.readouterr().out
    with np.load(tmp_path / "champion.npz") as champion:
        assert champion["solved"]
        assert (evaluate_parity(ParityNetwork(), champion["genome"][None]).behavior > 0.5).all()
    before = files(tmp_path)
    assert evolve.main(arguments) == 0
    assert "1 of 6 runs solved" in capsys.readouterr().out
    assert {path: content for path, content in files(tmp_path).items() if "checkpoint" not in path.name} == {
        path: content for path, content in before.items() if "checkpoint" not in path.name
    }


def test_of_several_solutions_the_most_robust_is_champion(monkeypatch):
    experiment = Experiment("breadcrumb-hard-maze", "control", 1, 3, 250)
    lockstep = experiment.lockstep()
    for ga, (at, fitness) in zip(lockstep.gas, [(None, -1.0), (700, -9.0), (900, -5.0)], strict=True):
        lockstep.solved_at[ga.run] = at
        ga.champion = Individual(np.zeros(1266, np.float32), fitness, at is not None, np.zeros((1, 11)))
    monkeypatch.setattr(evolve, "robustness", lambda champion, operator, seed: champion.fitness)
    run, champion = evolve.choose_champion(lockstep, "breadcrumb-hard-maze", "SM-G-SUM", 1)
    assert (run, champion.fitness) == (2, -5.0)
    assert evolve.choose_champion(lockstep, "recurrent-parity", "SM-G-SUM", 1)[0] == 1


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path):
    arguments = ["recurrent-parity", "--runs", "2", "--max-evaluations", "3000", "--operator", "SM-G-SUM"]
    assert evolve.main([*arguments, "--output", str(tmp_path / "whole")]) == 0
    process = start("evolve", *arguments, "--output", tmp_path / "cut")
    history = tmp_path / "cut" / "history.jsonl"
    while not (history.exists() and history.read_text().count("\n") >= 4):
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert (tmp_path / "cut" / "champion.npz").exists()
    assert evolve.main([*arguments, "--output", str(tmp_path / "cut")]) == 0
    for name in ("history.jsonl", "champion.npz", "settings.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-maze"], "breadcrumb-hard-maze"),
        (["recurrent-parity", "--operator", "SM-X"], "SM-G-ABS"),
        (["recurrent-parity", "--runs", "0"], "expected at least 1 replicate, got 0"),
        (["recurrent-parity", "--solutions", "9"], "expected 1 to 8, the number of runs, got 9"),
        (["recurrent-parity", "--seed", "-1"], "expected a seed from 0"),
        (["recurrent-parity", "--intensity", "0"], "expected sigma to be a positive number, got 0"),
        (["recurrent-parity", "--intensity", "nan"], "expected sigma to be a positive number, got nan"),
        (["recurrent-parity", "--max-evaluations", "10"], "at least the initial population, 250"),
        (["recurrent-parity", "--output", "/proc/no/folder"], "/proc/no"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = evolve.main(arguments)
    except SystemExit as stop:
        status = stop.code
    errors = capsys.readouterr().err
    assert status == 2
    assert message in errors
    assert "Traceback" not in errors
    assert files(tmp_path) == {}


def test_a_run_folder_of_other_settings_is_left_alone(tmp_path, capsys):
    evolve.main(small(tmp_path))
    before = files(tmp_path)
    assert evolve.main(small(tmp_path, "--seed", "7")) == 2
    assert "seed: 1 there, 7 now" in capsys.readouterr().err
    assert files(tmp_path) == before


def reproduction(folder, *more):
    return [
        "figure-1", "--methods", "SM-G-SUM", "control", "--runs", "2", "--max-evaluations", "2000",
        "--results", str(folder / "results"), "--work", str(folder / "work"), *more,
    ]  # fmt: skip


def test_killing_a_reproduction_again_and_again_changes_nothing(tmp_path):
    assert reproduce.main(reproduction(tmp_path / "whole")) == 0
    chance = np.random.default_rng()
    kills = 0
    for _ in range(10):
        process = start("reproduce", *reproduction(tmp_path / "cut"), checkpoint_interval=0.05)
        while not (tmp_path / "cut" / "work").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1.0))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills
    assert reproduce.main(reproduction(tmp_path / "cut")) == 0
    assert files(tmp_path / "cut" / "results") == files(tmp_path / "whole" / "results")
    assert (tmp_path / "whole" / "results" / "figure-1" / "SM-G-SUM.json").exists()
    assert not list((tmp_path / "cut" / "work").rglob("*.npz"))


def test_several_processes_give_the_same_files(tmp_path):
    assert reproduce.main(reproduction(tmp_path / "one")) == 0
    process = start("reproduce", *reproduction(tmp_path / "two", "--processes", "2"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert files(tmp_path / "one" / "results") == files(tmp_path / "two" / "results")


def test_results_of_other_settings_are_not_mixed(tmp_path, capsys):
    assert reproduce.main(reproduction(tmp_path)) == 0
    before = files(tmp_path)
    assert reproduce.main([*reproduction(tmp_path), "--seed", "5"]) == 2
    assert "seed: 1 there, 5 now" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_every_open_choice_runs_and_says_what_it_chose(tmp_path):
    sizes = ["--runs", "1", "--max-evaluations", "255"]
    folders = ["--results", str(tmp_path), "--work", str(tmp_path / "work")]
    assert reproduce.main(["choices", *sizes, *folders]) == 0
    for name, choice in CHOICES.items():
        settings = json.loads((tmp_path / "choices" / f"{name}.json").read_text())["settings"]
        assert settings["operator"] == choice.operator
        usual = Experiment(settings["domain"], choice.operator, 1, 1, 255).settings()
        assert settings != usual


def test_an_unknown_figure_lists_the_known(capsys):
    with pytest.raises(SystemExit) as stop:
        reproduce.main(["figure-99"])
    assert stop.value.code == 2
    assert "figure-S2" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys):
    experiment = Experiment("recurrent-parity", "control", 1, 2, 2000)
    lockstep, settings = experiment.lockstep(), experiment.settings()
    saved = tmp_path / "checkpoint.npz"
    for number, _ in enumerate(lockstep.run()):
        if number in (50, 90):
            checkpoint.save(saved, lockstep, settings)
            evaluations = [ga.evaluations for ga in lockstep.gas]
        if number == 50:
            earlier = evaluations
        if number == 90:
            break
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1  # a single flipped bit
    saved.write_bytes(content)
    again = experiment.lockstep()
    assert checkpoint.restore(saved, again, settings)
    assert [ga.evaluations for ga in again.gas] == earlier != evaluations
    assert f"damaged checkpoint {saved}" in capsys.readouterr().err
