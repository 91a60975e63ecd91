"""What a lag costs: the searches of the study, and what is made of them."""

import argparse
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from beyond.lag import LAG, first_of, table
from beyond.race import DIRECTIONS
from evolution.atomic_file import write_json
from evolution.executors import add_executor_arguments, part_of_the_result, shared
from paper.figure import Request


@pytest.fixture
def jobs(tmp_path):
    return LAG.jobs(Request(1, (), tmp_path / "results", tmp_path / "work", runs=3, max_evaluations=260))


def test_searches_differ_in_their_lag_alone(jobs):
    records = [job.experiment.record() for job in jobs]
    assert [record.pop("lag") for record in records] == [1, 8, 32, 128]
    assert all(record == records[0] for record in records)


def test_other_cores_do_not_change_the_lag_unless_told_to(jobs):
    parser = argparse.ArgumentParser()
    add_executor_arguments(parser)
    for words, expected in (["--workers", "2"], 8), (["--ray", "--lag", "3"], 3):
        assert shared(parser.parse_args(words), jobs[1].experiment).lag == expected


def test_a_device_does_not_change_the_guess_unless_told_to(tmp_path):
    [job, *_] = DIRECTIONS.jobs(Request(1, (), tmp_path / "results", tmp_path / "work"))
    parser = argparse.ArgumentParser()
    add_executor_arguments(parser)
    for words, expected in (["--device", "cpu"], 8), (["--device", "cpu", "--guess", "1"], 1):
        options = parser.parse_args(words)
        assert shared(options, job.experiment).guess == expected
        assert ("--guess 1" in part_of_the_result(options)) == (expected == 1)


def test_the_command_of_a_result_names_the_group_that_workers_got(jobs):
    # Without workers, too, it is then the command of this result.
    parser = argparse.ArgumentParser()
    add_executor_arguments(parser)
    spread = parser.parse_args(["--workers", "2", "--lag", "3"])
    alone = parser.parse_args(part_of_the_result(spread).split())
    assert alone.workers is None
    experiment = replace(jobs[0].experiment, runs=6)
    assert shared(alone, experiment).record() == shared(spread, experiment).record()


def test_the_first_of_several_runs_is_the_median_over_all_choices_of_them():
    evaluations = np.array([3.0, 5.0, 8.0, 13.0, np.inf])
    for number in (1, 2, 3):
        every = [min(chosen) for chosen in product(evaluations, repeat=number)]
        assert first_of(number, evaluations) == np.quantile(every, 0.5, method="inverted_cdf")
    assert first_of(500, evaluations) == 3


def test_lags_are_tested_against_none_and_compared_with_runs_on_their_own():
    chance = np.random.default_rng(1)
    quick = chance.integers(8_000, 12_000, 20).astype(float)
    runs = {"lag 1": quick, "lag 8": quick + 1, "lag 128": 5 * quick}
    rows = [line.split(" | ") for line in table(runs).splitlines()[2:]]
    assert [row[0] for row in rows] == ["| 1", "| 8", "| 128"]
    assert [row[1] for row in rows] == ["20/20"] * 3
    assert rows[0][3] == ""
    assert "slower" not in rows[1][3] and "slower" in rows[2][3]
    assert float(rows[2][4].replace(",", "")) == pytest.approx(np.sort(5 * quick)[9] / 128, abs=1)
    assert float(rows[2][5].strip(" |").replace(",", "")) == quick.min()


def test_what_has_finished_is_drawn(jobs, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("beyond.lag.save_figure", lambda figure, stem: drawn.append(figure))
    for job, solved in zip(jobs[:2], ([900, 1_000, None], [None, None, None]), strict=True):
        write_json(job.result, {"runs": [{"solved_at": at} for at in solved]})
    results = tmp_path / "results"
    LAG.draw(results)
    assert list(LAG.tables(results)) == ["lag"]
    curves, times = drawn[0].axes
    assert [line.get_label() for line in curves.lines] == ["lag 1", "lag 8"]
    assert curves.lines[0].get_ydata().max() == 2 / 3
    alone, ideal = times.lines[2:]
    assert alone.get_ydata()[0] == ideal.get_ydata()[0] == 1_000  # one core
    assert alone.get_ydata()[-1] == 900
