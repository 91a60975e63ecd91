"""Figures 4, 6 and 8: short runs end to end, and the paper's claims on made-up results."""

import json

import numpy as np
import pytest

import reproduce
from paper.figures import FIGURES
from paper.figures.large_networks import FIGURE_4
from paper.figures.pixel_mazes import FIGURE_6, FIGURE_8

METHODS = ("control", "SM-G-SUM", "SM-G-SO")  # those of figures 4, 6 and 8


def write_results(results, figure, solved_at):
    for method, evaluations in solved_at.items():
        path = results / figure.name / f"{method}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"runs": [{"solved_at": at} for at in evaluations]}))


def test_figure_6_runs_from_the_command_line(tmp_path):
    arguments = ["figure-6", "--runs", "2", "--max-evaluations", "252", "--methods", "SM-G-SUM", "SM-R"]
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    assert reproduce.main(arguments + folders) == 0
    result = json.loads((tmp_path / "results" / "figure-6" / "SM-G-SUM.json").read_text())
    assert [run["evaluations"] for run in result["runs"]] == [252, 252]
    assert (
        result["command"] == "python examples/reproduce.py figure-6 --seed 1 --runs 2 --max-evaluations 252"
    )
    assert (tmp_path / "results" / "figure-6" / "figure-6.png").exists()
    assert not (tmp_path / "results" / "figure-6" / "SM-R.json").exists()  # the paper has no such curve


@pytest.mark.parametrize(
    ("figure", "searches", "population", "runs"),
    [
        ("figure-4", 9, 100, 20),
        ("figure-4-64", 3, 100, 20),
        ("figure-6", 3, 250, 20),
        ("figure-8", 3, 250, 30),
    ],
)
def test_searches_are_those_of_table_s2(figure, searches, population, runs, tmp_path):
    request = reproduce.Request(1, METHODS, tmp_path, tmp_path)
    jobs = FIGURES[figure].jobs(request)
    assert len(jobs) == searches == len({job.result for job in jobs})
    for job in jobs:
        assert job.experiment.algorithm.population_size == population
        assert (job.experiment.runs, job.experiment.max_evaluations) == (runs, 50_000)
        assert job.experiment.operator.max_experiences == 100
        if job.result.stem != "control":
            large = figure.startswith("figure-4")
            assert job.experiment.operator.weight_clip == (0.2 if large else None)


@pytest.mark.parametrize(
    ("figure", "good", "bad"),
    [
        (FIGURE_6, [3_000] * 20, [40_000] * 12 + [None] * 8),
        (FIGURE_8, [9_000] * 13 + [None] * 17, [9_000] * 2 + [None] * 28),
        (FIGURE_4.panels[1], [9_000] * 16 + [None] * 4, [30_000] * 4 + [None] * 16),
    ],
)
def test_claims_hold_for_the_papers_numbers_and_not_for_the_reverse(figure, good, bad, tmp_path):
    better = {"SM-G-SUM": good, "control": bad}
    better["SM-G-SO"] = bad if figure in FIGURE_4.panels else good
    write_results(tmp_path, figure, better)
    claims = figure.claims(tmp_path)
    assert len(claims) == 2 and all(claim.holds for claim in claims)
    worse = {method: bad if found is good else good for method, found in better.items()}
    write_results(tmp_path, figure, worse)
    assert not any(claim.holds for claim in figure.claims(tmp_path))


def test_claims_are_those_of_the_methods_that_have_run(tmp_path):
    write_results(tmp_path, FIGURE_6, {"SM-G-SUM": [3_000] * 20})
    assert FIGURE_6.claims(tmp_path) == []
    write_results(tmp_path, FIGURE_6, {"control": [40_000] * 20})
    [claim] = FIGURE_6.claims(tmp_path)
    assert claim.text == "SM-G-SUM solves faster than control" and claim.holds
    FIGURE_6.draw(tmp_path)
    assert (tmp_path / "figure-6" / "figure-6.svg").exists()


def test_figure_4_draws_each_network(tmp_path):
    for panel in FIGURE_4.panels:
        write_results(tmp_path, panel, {method: [3_000, None] for method in METHODS})
    FIGURE_4.draw(tmp_path)
    assert len(list(tmp_path.glob("figure-4-*/figure-4-*.png"))) == 3
    assert np.isinf(FIGURE_4.panels[0].solved(tmp_path)["control"]).sum() == 1
