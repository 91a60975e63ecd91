"""A result in parts: the same numbers as in one piece, put together where they are read."""

import json

import pytest

import reproduce
from evolution.atomic_file import write_json
from evolution.parts import parts
from paper.figures import FIGURES

SMALL = ["figure-1", "--methods", "SM-R", "--max-evaluations", "260"]


def compute(folder, *more):
    folders = ["--results", str(folder / "results"), "--work", str(folder / "work")]
    return reproduce.main([*SMALL, *more, *folders])


def runs(file):
    return json.loads(file.read_text())["runs"]


def test_parts_have_the_numbers_of_the_whole(tmp_path):
    assert compute(tmp_path / "whole", "--runs", "5", "--group", "2") == 0
    for part in ("0-1", "2-3", "4-4"):  # the first goes where the whole would
        assert compute(tmp_path / "parts", "--runs", part) == 0
    whole = tmp_path / "whole" / "results" / "figure-1"
    pieces = tmp_path / "parts" / "results" / "figure-1"
    files = parts(pieces / "SM-R.json")
    assert [file.name for file in files] == ["SM-R.json", "SM-R.2-3.json", "SM-R.4-4.json"]
    assert [run for file in files for run in runs(file)] == runs(whole / "SM-R.json")
    assert json.loads(files[1].read_text())["command"].endswith("--runs 2-3 --max-evaluations 260")
    assert json.loads(files[0].read_text())["command"].endswith("--runs 2 --max-evaluations 260")
    figure = FIGURES["figure-1"]
    read = [figure.solved(folder.parent)["SM-R"].tolist() for folder in (pieces, whole)]
    assert read[0] == read[1]
    assert not (tmp_path / "parts" / "work" / "figure-1" / "SM-R.2-3").exists()


def write(folder, name, first, number, **settings):
    file = folder / "figure-1" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    record = {"seed": 1, "runs": number, "group": number, **settings}
    found = [{"run": run, "solved_at": 1000 + run} for run in range(first, first + number)]
    write_json(file, {"record": record | ({"first": first} if first else {}), "runs": found})
    return file


def test_parts_come_in_the_order_of_their_replicates(tmp_path):
    for first in (20, 0, 100, 10):
        write(tmp_path, f"SM-R.{first}-{first + 9}.json" if first else "SM-R.json", first, 10)
    write(tmp_path, "SM-R.more.json", 500, 1)  # another file that only begins like it
    solved = FIGURES["figure-1"].solved(tmp_path)["SM-R"]
    assert solved.tolist() == [1000 + run for first in (0, 10, 20, 100) for run in range(first, first + 10)]


def test_a_later_part_may_be_there_before_the_first(tmp_path):
    write(tmp_path, "SM-R.3-4.json", 3, 2)
    assert FIGURES["figure-1"].solved(tmp_path)["SM-R"].tolist() == [1003, 1004]


def test_a_replicate_in_two_parts_is_refused(tmp_path):
    write(tmp_path, "SM-R.json", 0, 5)
    write(tmp_path, "SM-R.4-6.json", 4, 3)
    with pytest.raises(ValueError, match=r"each replicate once, got number 4 in .*SM-R\.json and in .*4-6"):
        FIGURES["figure-1"].solved(tmp_path)


def test_parts_of_different_experiments_are_refused(tmp_path):
    write(tmp_path, "SM-R.json", 0, 5)
    write(tmp_path, "SM-R.5-6.json", 5, 2, seed=2)
    with pytest.raises(ValueError, match=r"SM-R\.5-6\.json belongs to another experiment \(seed: 2 there, 1"):
        FIGURES["figure-1"].solved(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"runs": 3}', '{"runs": [3]}', '{"runs": [{"run": 5}]}'])
def test_a_part_that_is_something_else_is_named(text, tmp_path):
    write(tmp_path, "SM-R.json", 0, 5)
    other = tmp_path / "figure-1" / "SM-R.5-6.json"
    other.write_text(text)
    with pytest.raises(ValueError, match=r"expected replicates, .* in .*SM-R\.5-6\.json, got something else"):
        FIGURES["figure-1"].solved(tmp_path)


def test_parts_may_come_from_other_machines_and_devices(tmp_path):
    write(tmp_path, "SM-R.json", 0, 5, versions={"torch": "2.13.0"}, machine="x86_64")
    elsewhere = {"versions": {"torch": "2.12.0"}, "machine": "aarch64", "device": "cuda", "guess": 8}
    write(tmp_path, "SM-R.5-6.json", 5, 2, **elsewhere)
    assert len(FIGURES["figure-1"].solved(tmp_path)["SM-R"]) == 7
    write(tmp_path, "SM-R.7-8.json", 7, 2, lag=4)  # another search
    with pytest.raises(
        ValueError, match=r"7-8\.json belongs to another experiment \(lag: 4 there, None now\)"
    ):
        FIGURES["figure-1"].solved(tmp_path)


def test_a_damaged_part_is_named(tmp_path, capsys):
    write(tmp_path, "SM-R.json", 0, 5)
    write(tmp_path, "SM-R.5-6.json", 5, 2).write_text("{")
    assert reproduce.main(["claims", "--results", str(tmp_path)]) == 2
    assert "SM-R.5-6.json" in capsys.readouterr().err


def test_champions_of_all_parts_are_found(tmp_path):
    folder = tmp_path / "results" / "figure-1"
    assert compute(tmp_path, "--runs", "2") == 0 == compute(tmp_path, "--runs", "2-4")
    names = [file.name for file in parts(folder / "SM-R.npz")]
    assert names == ["SM-R.npz", "SM-R.2-4.npz"]


@pytest.mark.parametrize("given", ["0", "-3", "5-4", "3-", "a", "1-2-3", "1.5", ""])
def test_what_is_no_number_of_replicates_is_refused(given, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        compute(tmp_path, f"--runs={given}")
    assert ended.value.code == 2
    assert "argument --runs: expected a number of at least 1, or K-L with K <= L" in capsys.readouterr().err


def test_figures_that_have_no_parts_refuse_them(tmp_path, capsys):
    with pytest.raises(SystemExit):
        reproduce.main(["beyond-held-out", "--runs", "3-4", "--results", str(tmp_path)])
    assert "argument --runs: expected a number with beyond-held-out, got a part" in capsys.readouterr().err
