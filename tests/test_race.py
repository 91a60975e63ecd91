"""The race of directions and divergences: its settings, its statistics, who goes on and who is a finalist."""

import json

import numpy as np
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

import reproduce
from beyond import race
from beyond.comparison import Finished, compare, holm, published, table
from beyond.directions import CHALLENGER, INCUMBENT, SETTINGS, Setting
from beyond.finalists import FINALISTS
from beyond.race import DIRECTIONS, DOMAIN_NAMES, SEMIFINALS
from beyond.study import draw_success
from beyond.targets import verdicts
from evolution.atomic_file import write_json
from evolution.record import describe
from paper.table_s2 import TABLE_S2


def request(folder, **arguments):
    return reproduce.Request(1, (), folder / "results", folder / "work", **arguments)


def write(path, solved_at, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"runs": [{"solved_at": at} for at in solved_at]} | more)


def write_all(results):
    """Every setting, the better the earlier; but the very first fails in the maze."""
    for stage in (DIRECTIONS, SEMIFINALS):
        for number, one in enumerate(stage.settings(results)):
            for domain in DOMAIN_NAMES:
                fails = one is SETTINGS[0] and domain == "breadcrumb-hard-maze"
                write(stage.file(results, domain, one), [None if fails else 1000 + 100 * number] * 4)


def test_no_setting_is_there_twice_and_none_knows_a_network(tmp_path):
    jobs = DIRECTIONS.jobs(request(tmp_path))
    assert len(jobs) == 54 == len({job.result for job in jobs}) == len({job.work for job in jobs})
    operators = [json.dumps(describe(job.experiment.operator)) for job in jobs]
    assert len(set(operators)) == 27
    for job in jobs:
        operator = job.experiment.operator
        assert getattr(operator, "weight_clip", None) is None
        assert getattr(operator, "sigma", None) is None
        assert operator.tolerance == 0.25
        assert (job.experiment.runs, job.experiment.max_evaluations) == (8, 30_000)
        assert job.experiment.algorithm == TABLE_S2[job.experiment.domain.name].algorithm


def test_a_small_study_runs_from_the_command_line(tmp_path, monkeypatch):
    few = [Setting("SM-G-RMS", 0.5, 0.1), Setting("SM-G-SO", 1, 0.03)]
    monkeypatch.setattr(race, "SETTINGS", few)
    results = tmp_path / "results"
    folders = ["--results", str(results), "--work", str(tmp_path / "work")]
    small = ["beyond-directions", "--runs", "2", "--max-evaluations", "253"]
    assert reproduce.main([*small, *folders]) == 0
    files = {path.name: path.read_bytes() for path in (results / "beyond").rglob("*.json")}
    assert len(list((results / "beyond").rglob("*.json"))) == 4
    record = json.loads(files["SM-G-RMS-0.5-0.1.json"])["record"]
    assert record["operator"]["exponent"] == 0.5
    assert record["operator"]["divergence"] == 0.1
    for domain in DOMAIN_NAMES:
        assert (results / "beyond" / "directions" / f"{domain}.png").exists()
    page = (results / "beyond" / "README.md").read_text()
    assert "| SM-G-RMS | 0.5 | 0.1 | 0/2 | never |" in page
    assert "directions" not in (results / "README.md").read_text()


def test_holm_on_an_example():
    # Holm (1979): 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []
    chance = np.random.default_rng(0).random(50)
    assert (np.array(holm(chance)) >= false_discovery_control(chance) - 1e-12).all()  # it is the stricter


def test_comparisons_say_who_is_faster():
    quick, slow = np.arange(20.0), 50 + np.arange(20.0)
    compared = compare({"new": quick, "bad": np.full(20, np.inf)}, {"control": slow})
    plain = mannwhitneyu(quick, slow).pvalue
    assert str(compare({"new": quick}, {"control": slow})["new", "control"]) == f"{plain:.2g} faster"
    assert (
        str(compare({"new": quick, "same": slow}, {"control": slow})["new", "control"])
        == f"{2 * plain:.2g} faster"
    )
    assert str(compared["bad", "control"]).endswith("**slower**")
    assert str(compare({"new": slow}, {"control": slow})["new", "control"]) == "1"


def test_a_partial_table_says_so():
    labels = {"a": ("a",), "b": ("b",)}
    text = table(("name",), labels, {"a": np.array([1000.0, np.inf])}, {"control": np.array([2000.0])})
    assert "| control of the paper | 1/1 | 2.0k |  |" in text
    assert "| a | 1/2 | never | 1 |" in text
    assert text.endswith("1 of 2 have finished.\n")
    assert "have finished" not in table(("name",), {"a": ("a",)}, {"a": np.array([1.0])}, {})


def test_runs_by_another_rule_of_replacement_are_not_compared(tmp_path):
    rule = TABLE_S2["recurrent-parity"].algorithm.removal
    write(tmp_path / "figure-1" / "control.json", [5], record={"algorithm": {"removal": rule}})
    write(tmp_path / "figure-1" / "SM-R.json", [5], settings={"removal": rule})
    write(tmp_path / "figure-1" / "SM-G-SO.json", [5], record={"algorithm": {"removal": "no such rule"}})
    assert set(published(tmp_path, "recurrent-parity")) == {"control", "SM-R"}
    write(tmp_path / "more" / "figure-1" / "control.json", [7], settings={"removal": "no such rule"})
    assert set(published(tmp_path, "recurrent-parity")) == {"SM-R"}


def test_those_go_on_that_do_well_where_they_do_worst(tmp_path):
    write_all(tmp_path)
    assert SEMIFINALS.settings(tmp_path) == SETTINGS[1:7]
    assert SEMIFINALS.best(tmp_path, 2) == SETTINGS[1:3]
    SEMIFINALS.file(tmp_path, DOMAIN_NAMES[0], SETTINGS[3]).unlink()
    with pytest.raises(
        ValueError, match=r"expected results of 12 searches .* 1 are missing: run beyond-semi"
    ):
        SEMIFINALS.best(tmp_path, 2)
    DIRECTIONS.file(tmp_path, DOMAIN_NAMES[1], SETTINGS[9]).unlink()
    with pytest.raises(ValueError, match=r"expected results of 54 searches .* 1 are missing: run beyond-dir"):
        SEMIFINALS.settings(tmp_path)


def test_a_later_round_has_new_runs_and_the_whole_budget(tmp_path):
    write_all(tmp_path / "results")
    jobs = SEMIFINALS.jobs(request(tmp_path))
    assert len(jobs) == 12 == len({job.work for job in jobs})
    assert {job.experiment.seed for job in jobs} == {2}
    for job in jobs:
        assert (job.experiment.runs, job.experiment.max_evaluations) == (20, 100_000)
        assert job.experiment.max_evaluations == TABLE_S2[job.experiment.domain.name].max_evaluations


def test_the_papers_runs_are_compared_within_the_rounds_budget(tmp_path):
    domain = DOMAIN_NAMES[0]
    write(tmp_path / "figure-1" / "control.json", [29_000, 31_000, None])
    write(DIRECTIONS.file(tmp_path, domain, SETTINGS[0]), [None, 29_000])
    text = DIRECTIONS.tables(tmp_path)[f"directions in {domain}"]
    assert "| control of the paper |  |  | 1/3 | never |" in text
    assert text.endswith("1 of 27 have finished.\n")


def test_rounds_cut_short_are_compared_within_their_budget(tmp_path, monkeypatch):
    budgets = set()

    def draw(ax, evaluations, budget, **style):
        budgets.add(budget)
        draw_success(ax, evaluations, budget, **style)

    monkeypatch.setattr("beyond.race.draw_success", draw)
    one, other = SETTINGS[:2]
    monkeypatch.setattr(race, "SETTINGS", [one, other])
    for domain in DOMAIN_NAMES:
        write(DIRECTIONS.file(tmp_path, domain, one), [900, None], record={"max_evaluations": 1000})
        write(DIRECTIONS.file(tmp_path, domain, other), [1100, 1200], record={"max_evaluations": 30_000})
    write(tmp_path / "figure-1" / "control.json", [900, 1100])
    text = DIRECTIONS.tables(tmp_path)[f"directions in {DOMAIN_NAMES[0]}"]
    assert "| control of the paper |  |  | 1/2 | never |" in text
    assert "| 1/2 | never | 1 |" in text
    assert "| 0/2 | never | 1 |" in text
    DIRECTIONS.draw(tmp_path)
    assert budgets == {1000}
    assert DIRECTIONS.best(tmp_path, 1) == [one]


def test_machines_share_the_searches(tmp_path):
    every = DIRECTIONS.jobs(request(tmp_path))
    shares = [reproduce.share(f"{one}/4") for one in (1, 2, 3, 4)]
    shared = [job for first, step in shares for job in every[first - 1 :: step]]
    assert sorted(shared, key=every.index) == every
    for wrong in ("0/2", "3/2", "2", "a/b"):
        with pytest.raises(SystemExit):
            reproduce.parse_arguments(["beyond-directions", "--share", wrong])


def test_finalists_run_in_every_domain_with_another_seed(tmp_path):
    write_all(tmp_path / "results")
    jobs = FINALISTS.jobs(request(tmp_path))
    assert len(jobs) == 3 * 8 + 5 == len({job.result for job in jobs})
    runs = {job.experiment.domain.name: job.experiment.runs for job in jobs}
    assert runs == {
        "recurrent-parity": 60, "breadcrumb-hard-maze": 60, "topdown-maze": 20, "first-person-maze": 30,
        "large-scale-101": 20, "toy": 20,
    }  # fmt: skip
    assert {job.experiment.seed for job in jobs} == {3}
    budgets = {job.experiment.domain.name: job.experiment.max_evaluations for job in jobs}
    assert (budgets["topdown-maze"], budgets["breadcrumb-hard-maze"]) == (10_000, 100_000)
    settings = (*SEMIFINALS.best(tmp_path / "results", 2), INCUMBENT, CHALLENGER)
    assert {job.result.stem for job in jobs} == {one.name for one in settings}
    challenged = {job.experiment.domain.name for job in jobs if job.result.stem == CHALLENGER.name}
    assert challenged == {"recurrent-parity", "breadcrumb-hard-maze", "toy"}


def test_a_winner_that_is_the_incumbent_runs_once(tmp_path, monkeypatch):
    write_all(tmp_path / "results")
    monkeypatch.setattr("beyond.finalists.INCUMBENT", SETTINGS[1])
    assert len(FINALISTS.jobs(request(tmp_path))) == 2 * 8 + 5


def test_finalists_are_drawn_and_listed_as_far_as_they_are_there(tmp_path):
    assert FINALISTS.tables(tmp_path) == {}
    FINALISTS.draw(tmp_path)
    write(FINALISTS.folder(tmp_path) / "topdown-maze" / "SM-G-SO-1-0.03.json", [1000, None])
    write(tmp_path / "figure-6" / "control.json", [9000, 12_000])  # more evaluations than finalists have
    write(FINALISTS.folder(tmp_path) / "toy-gradient-washout" / "SM-G-SO-1-0.03.json", [1000, 500])
    FINALISTS.draw(tmp_path)
    assert (tmp_path / "beyond" / "finalists" / "topdown-maze.png").exists()
    tables = FINALISTS.tables(tmp_path)
    assert "| SM-G-SO | 1 | 0.03 | 2/2 | 0.8k |" in tables["finalists in toy, gradient washout"]
    assert "| control of the paper |  |  | 1/2 | never |" in tables["finalists in topdown-maze"]
    assert set(tables) == {"targets", "finalists in topdown-maze", "finalists in toy, gradient washout"}


def test_finalists_cut_short_are_compared_within_their_budget(tmp_path):
    write(tmp_path / "figure-8" / "control.json", [900, 17_000, None])
    FINALISTS.draw(tmp_path)  # nothing, as there are only others' runs
    assert FINALISTS.tables(tmp_path) == {}
    cut = FINALISTS.folder(tmp_path) / "first-person-maze" / "SM-G-SO-1-0.03.json"
    write(cut, [9000, None, None], record={"max_evaluations": 16_000})
    tables = FINALISTS.tables(tmp_path)
    assert "| control of the paper |  |  | 1/3 | never |" in tables["finalists in first-person-maze"]
    assert "not told by 16,000: 1/3, never" in tables["targets"]
    long = FINALISTS.folder(tmp_path) / "first-person-maze" / "SM-G-SO-2-0.01.json"
    write(long, [9000, 20_000, 30_000], record={"max_evaluations": 50_000})
    assert (
        "| SM-G-SO | 2 | 0.01 | 1/3 | never |" in FINALISTS.tables(tmp_path)["finalists in first-person-maze"]
    )


def test_the_last_of_many_searches_shows_its_progress(tmp_path, capsys):
    small = ["beyond-directions", "--runs", "1", "--max-evaluations", "251", "--share", "54/54"]
    assert reproduce.main([*small, "--results", str(tmp_path / "results"), "--work", str(tmp_path)]) == 0
    assert ": 0ev" in capsys.readouterr().err  # at once, and not only in the end


def test_targets_reached_and_missed():
    fast, failing = np.full(60, 10_000.0), np.concatenate([np.full(49, 9_000.0), np.full(11, np.inf)])
    control = np.full(20, 19_000.0)
    other = {"control": control, "SM-R": np.full(20, 9_000.0)}
    finished = {
        "recurrent-parity": Finished({"new": fast, "late": 3 * fast}, other, 100_000),
        "breadcrumb-hard-maze": Finished({"new": failing}, {"control": np.full(20, np.inf)}, 100_000),
        "large-scale-101": Finished({"new": fast}, {}, 100_000),
        "first-person-maze": Finished({"new": failing, "quick": fast}, {}, 16_000),
    }
    parity, late, maze, large, cut, quick = verdicts(finished).splitlines()[2:]
    assert "| 50% of the runs by 20,000 | yes: 60/60, median 10.0k | **no**: slower than SM-R (p = " in parity
    assert parity.endswith("| **no**: 1.9 times |")
    assert "| **no**: 0/60, median 30.0k | **no**: slower than control" in late
    assert "| **no**: 49/60, median 9.0k | yes | yes: control mostly fails |" in maze  # 50 were wanted
    assert large == "| new | large-scale-101 |  | 60/60, 10.0k |  |  |"
    assert "| 90% of the runs by 50,000 | not told by 16,000: 49/60, 9.0k |" in cut  # the others may yet
    assert "| 90% of the runs by 50,000 | yes: 60/60, median 10.0k |" in quick
