"""Divergent search: what a run records, that it goes on where it was cut short, and what is drawn of it."""

import json
import re
import threading

import numpy as np
import pytest

import divergent_search
from divergent_search import ALGORITHMS, DOMAIN, FARTHEST, METHODS, SIDE, filled_places, search

EVALUATIONS = {"map-elites": 10_000, "novelty-search": 5_000}  # of the results


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_coverage_and_score_are_those_of_every_child(algorithm, monkeypatch):
    """Against a dictionary of the best fitness in each place."""
    best: dict[tuple, float] = {}
    evaluate = type(DOMAIN).evaluate

    def watched(self, genomes):
        evaluation = evaluate(self, genomes)
        for fitness, way in zip(evaluation.fitness, evaluation.behavior, strict=True):
            place = tuple((way[-1] / SIDE * 50).astype(int))
            best[place] = max(best.get(place, -np.inf), fitness)
        return evaluation

    monkeypatch.setattr(type(DOMAIN), "evaluate", watched)
    record, grid = search(algorithm, "control", seed=1, evaluations=500)
    assert record["evaluations"] == [500]
    assert record["coverage"] == [pytest.approx(len(best) / 2500, abs=1e-4)]
    assert record["qd_score"] == [pytest.approx(sum(best.values()) + FARTHEST * len(best), abs=1)]
    assert len(grid) == len(best)
    assert {(x, y) for y, x in np.argwhere(filled_places(record))} == set(best)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_elites_are_mutated_by_what_they_met(algorithm, monkeypatch):
    calls = []
    make = divergent_search.make

    def watched(*arguments, **keywords):
        op = make(*arguments, **keywords)

        def call(parents, experiences, **rest):
            calls.append((parents, experiences))
            return op(parents, experiences=experiences, **rest)

        return call

    monkeypatch.setattr(divergent_search, "make", watched)
    first, _ = search(algorithm, "SM-G-SUM", seed=1, evaluations=200)
    for parents, experiences in calls:
        met = DOMAIN.evaluate(parents).experiences
        for own, given in zip(met, experiences, strict=True):
            assert {row.tobytes() for row in given} <= {row.tobytes() for row in own}
    monkeypatch.undo()
    assert search(algorithm, "SM-G-SUM", seed=1, evaluations=200)[0] == first


def test_runs_that_are_there_are_not_run_again(tmp_path, monkeypatch, capsys):
    seen = []

    def quick(algorithm, method, seed, evaluations):
        seen.append((method, seed))
        curve = {"evaluations": [500, 1000], "coverage": [0.1, 0.1 * seed], "qd_score": [10, 100 * seed]}
        return {"method": method, "seed": seed, "solved_at": None, "places": "0" * 626, **curve}, None

    monkeypatch.setattr(divergent_search, "search", quick)
    for runs in (2, 3):
        arguments = [
            "map-elites",
            "--methods",
            "control",
            "SM-G-SO",
            "--runs",
            str(runs),
            "--results",
            str(tmp_path),
        ]
        arguments += ["--evaluations", "1000"]
        monkeypatch.setattr("sys.argv", ["x", *arguments])
        divergent_search.main()
    assert seen == [(method, seed) for seed in (1, 2, 3) for method in ("control", "SM-G-SO")]
    lines = (tmp_path / "map-elites.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [1, 1, 2, 2, 3, 3]
    assert "| SM-G-SO | 3 | 0.200 (0.150 to 0.250) | 200 (150 to 250) | 1 | 0 |" in capsys.readouterr().out
    for picture in ("map-elites.png", "map-elites-archives.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "evaluations, message", [(500, "expected 1000"), (1200, "multiple of 500"), (0, "mult")]
)
def test_runs_of_other_budgets_are_not_mixed(evaluations, message, tmp_path, monkeypatch, capsys):
    there = json.dumps({"method": "control", "seed": 1, "evaluations": [500, 1000]}) + "\n"
    (tmp_path / "map-elites.jsonl").write_text(there)
    arguments = [
        "map-elites",
        "--methods",
        "control",
        "--evaluations",
        str(evaluations),
        "--results",
        str(tmp_path),
    ]
    monkeypatch.setattr("sys.argv", ["x", *arguments])
    with pytest.raises(SystemExit):
        divergent_search.main()
    assert message in capsys.readouterr().err
    assert (tmp_path / "map-elites.jsonl").read_text() == there


BROKEN = ('{"method": "con', "line 2 of .*jsonl is not a whole run")


@pytest.mark.parametrize("line, message", [BROKEN, ('{"evaluations": []}', "expected 0")])
def test_files_of_earlier_versions_are_named(line, message, tmp_path, monkeypatch, capsys):
    there = json.dumps({"method": "control", "seed": 1, "evaluations": [500]}) + "\n"
    (tmp_path / "map-elites.jsonl").write_text((there if "whole" in message else "") + line)
    arguments = ["map-elites", "--methods", "control", "--evaluations", "500", "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["x", *arguments])
    with pytest.raises(SystemExit):
        divergent_search.main()
    assert re.search(message, capsys.readouterr().err)


def test_commands_side_by_side_lose_no_runs(tmp_path):
    def add(name):
        for number in range(20):
            divergent_search.keep({"name": name, "number": number}, "map-elites", tmp_path)

    threads = [threading.Thread(target=add, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(divergent_search.read_runs("map-elites", tmp_path)) == 60


def test_a_place_is_as_dark_as_runs_have_ended_there(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(divergent_search, "save_figure", lambda figure, stem: figures.append(figure))
    places = np.zeros((2, 50, 50), dtype=bool)
    places[0, 1, 2] = places[1, 1, 2] = places[1, 3, 4] = True
    runs = [{"method": "SM-R", "places": np.packbits(each).tobytes().hex()} for each in places]
    (tmp_path / "map-elites.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    divergent_search.draw_archives("map-elites", tmp_path)
    divergent_search.plt.close(figures[0])
    [image] = figures[0].axes[METHODS.index("SM-R")].images
    assert np.argwhere(image.get_array()).tolist() == [[1, 2], [3, 4]]
    assert image.get_array()[[1, 3], [2, 4]].tolist() == [1.0, 0.5]
    assert image.get_extent() == [0, SIDE, SIDE, 0]  # as the maze's walls: y grows downwards


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_page_shows_the_results(algorithm):
    results = divergent_search.RESULTS
    assert divergent_search.table(algorithm, results) in (results / "README.md").read_text()
    runs = divergent_search.read_runs(algorithm, results)
    assert sorted((run["method"], run["seed"]) for run in runs) == sorted(
        (method, seed) for method in METHODS for seed in range(1, 21)
    )
    for run in runs:
        assert run["evaluations"] == list(range(500, EVALUATIONS[algorithm] + 1, 500))
        assert filled_places(run).mean() == pytest.approx(run["coverage"][-1], abs=1e-4)
        assert run["coverage"] == sorted(run["coverage"])  # a place that has an elite keeps one
