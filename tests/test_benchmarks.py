"""Every benchmark runs once, small, in a copy of its folder, so that the committed figures stay."""

import csv
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from forked import Forked

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def copy(tmp_path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "benchmarks", ignore=shutil.ignore_patterns("*.csv", "*.json"))
    return tmp_path / "benchmarks"


def run(script: Path, *commands: list[str], **settings: float) -> str:
    """Run a benchmark's commands, some of its constants made smaller, and return what it says."""
    program = f"import sys, {script.stem} as benchmark\n"
    for name, value in settings.items():
        program += f"assert benchmark.{name}\nbenchmark.{name} = {value}\n"
    for command in commands:
        program += f"sys.argv[1:] = {command}\nbenchmark.main()\n"
    status, output, errors = Forked(program, paths=[script.parent, *sys.path]).wait(240)
    assert status == 0, errors
    return output + errors


def test_environments(copy):
    said = run(copy / "environments.py", ["--rounds", "1", "--seconds", "0.002"])
    with (copy / "environments.csv").open() as file:
        lines = file.readlines()
    assert [line[:2] for line in lines[:3]] == ["# "] * 3
    rows = list(csv.DictReader(lines[3:]))
    measured = {(row["name"], int(row["lanes"])) for row in rows}
    for domain in ("BreadcrumbHardMaze", "TopdownMaze", "FirstPersonMaze", "RecurrentParity"):
        assert {
            (f"{domain} Env", 1),
            (f"{domain} VectorEnv", 1024),
            (f"{domain} in SyncVectorEnv", 16),
        } <= measured
    assert all(float(row["steps_per_second"]) > 0 for row in rows)
    for peer in ("gymnasium_hardmaze", "minigrid", "kheperax"):
        named = any("peer" in name and peer.removeprefix("gymnasium_") in name for name, _ in measured)
        assert named or f"left out: {peer}" in said
        assert named == (importlib.util.find_spec(peer) is not None)


def test_a_part_of_the_environments_does_not_replace_the_file(copy):
    (copy / "environments.csv").write_text("hours of work")
    few = ["--rounds", "1", "--seconds", "0.002", "--only", "RecurrentParity Env"]
    assert "RecurrentParity Env" in run(copy / "environments.py", few)
    assert (copy / "environments.csv").read_text() == "hours of work"
    run(copy / "environments.py", [*few, "--output", str(copy / "few.csv")])
    assert (copy / "few.csv").read_text().count("\n") == 5
    with pytest.raises(AssertionError, match="expected a part of one of BreadcrumbHardMaze Env"):
        run(copy / "environments.py", ["--only", "Tetris"])


def test_evaluation(copy):
    names = ["breadcrumb-hard-maze", "recurrent-parity"]
    said = run(copy / "evaluation.py", ["--genomes", "3", "--domains", *names], REPETITIONS=1)
    rates = re.findall(r"(\S+): ([\d,]+) evaluations/s in a batch of 3, [\d,]+/s one nn.Module", said)
    assert [domain for domain, _ in rates] == names
    assert all(int(rate.replace(",", "")) > 0 for _, rate in rates)


def test_scaling(copy):
    sizes = ["--sizes", "1300", "--workers", "1", "--tasks", "5", "--milliseconds", "0"]
    said = run(copy / "scaling.py", sizes, ["--simulate"], REPETITIONS=1, TASKS_EACH=1)
    assert re.search(
        r"^\| pool \| 1,300 \| 0 \| 4 \| 0.010, 0.010 \| 1 \| [\d,]+ \|", said, flags=re.MULTILINE
    )
    shares = [float(share) for share in re.findall(r"x each +([\d.]+)", said)]
    assert len(shares) == 24
    assert all(0 <= share <= 1 for share in shares)
    _, _, times = said.partition("median time to the first solution")
    rows = [line.split() for line in times.splitlines()[2:]]
    assert len(rows) == 12
    assert all(
        float(row[-1].replace(",", "")) < float(row[2].replace(",", "")) for row in rows
    )  # any lag helps


def test_operators(copy):
    some = ["--nets", "parity RNN", "--operators", "SM-G-SUM"]
    commands = [["time", *some], ["memory", *some], ["default", "--nets", "parity RNN"], ["table"]]
    said = run(copy / "operators.py", *commands, SECONDS_PER_CASE=0.01)
    results = json.loads((copy / "operators.json").read_text())
    assert len(results["time"]) == len(results["memory"]) == 1
    assert [len(row) for row in results["default"].values()] == [4, 4]
    assert said.count("| parity RNN | SM-G-SUM | ") == 2 and "| parity RNN, solutions | " in said


def test_sizes(copy):
    sizes = [["scaling", "--sizes", "1e3"], ["in-place", "--sizes", "1e3"], ["population", "--sizes", "2"]]
    run(copy / "sizes.py", *sizes)
    results = json.loads((copy / "operators.json").read_text())
    assert len(results["scaling cpu"]) == len(results["population cpu"]) == 1
    assert list(results["in place"]) == ["1000: control", "1000: SM-G-SUM"]
    said = run(copy / "operators.py", ["table"])
    for title in ("| weights | control | ", "| weights, bfloat16 | ", "| parents | SM-G-SUM | "):
        assert title in said


def test_calibration(copy):
    said = run(copy / "calibration.py", ["table", "--children", "1"])
    assert all(name in said for name in ("control", "SM-R", "SM-G-SUM", "SM-G-ABS", "SM-G-SO"))


def test_sensitivities(copy):
    said = run(copy / "sensitivities.py", ["--domains", "topdown-maze"], GENOMES=2, REPETITIONS=1)
    assert said.count("topdown-maze, SM-G-S") == 2


def test_every_benchmark_is_tested_here():
    scripts = {path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text()}
    assert {f"test_{name}" for name in scripts} <= set(globals())
