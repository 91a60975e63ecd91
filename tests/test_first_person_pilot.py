"""The pilot that looks for the paper's first-person maze."""

import numpy as np
import pytest

import reproduce
from paper.distance import paper_curves
from paper.figures import first_person_pilot
from paper.figures.first_person_pilot import PILOT, ROUNDS, SETTINGS, describe
from test_claims import write_result

NEVER = np.inf


def results_of(folder, number, solved_at):
    """Made-up results of a round: when the eight runs of SM-G-SUM were solved; the control's never are."""
    for name, evaluations in solved_at.items():
        for method in ROUNDS[number].methods:
            file = f"{name}-{method}-{ROUNDS[number].budget}.json"
            write_result(folder / PILOT.name / file, evaluations if method == "SM-G-SUM" else [NEVER] * 8)


def jobs(folder):
    names = [job.result.stem for job in PILOT.jobs(reproduce.Request(1, (), folder, folder))]
    return [(name, int(budget)) for name, budget in (stem.rsplit("-", 1) for stem in names)]


def test_those_nearest_to_the_paper_go_on(tmp_path):
    first, second, third = ROUNDS
    assert jobs(tmp_path) == [(f"{name}-SM-G-SUM", first.budget) for name in SETTINGS]
    names = list(SETTINGS)
    hard, easy = names[: second.settings], names[second.settings :]
    results_of(tmp_path, 0, dict.fromkeys(hard, [NEVER] * 8))
    results_of(tmp_path, 0, dict.fromkeys(easy, [100] * 8))
    assert jobs(tmp_path) == [(f"{name}-SM-G-SUM", second.budget) for name in hard]
    alike, others = hard[-third.settings :], hard[: -third.settings]
    results_of(tmp_path, 1, dict.fromkeys(others, [100] * 8))
    results_of(tmp_path, 1, dict.fromkeys(alike, [NEVER] * 7 + [second.budget - 100]))
    methods = third.methods
    assert set(jobs(tmp_path)) == {(f"{name}-{method}", third.budget) for name in alike for method in methods}


def test_the_table_is_sorted_by_the_gap(tmp_path):
    assert PILOT.tables(tmp_path) == {}
    results_of(tmp_path, 1, {"easy": [500] * 8, "slow": [NEVER] * 8})
    [text] = PILOT.tables(tmp_path).values()
    rows = [row.strip("| ").split(" | ") for row in text.splitlines()[2:]]
    assert [row[0] for row in rows] == [describe(SETTINGS["slow"]), describe(SETTINGS["easy"])]
    assert [row[1] for row in rows] == ["0/8, never", "8/8, 0.5k"]
    beginning = paper_curves("first-person-maze")["SM-G-SUM"].until(ROUNDS[1].budget)
    assert beginning.evaluations[-1] == ROUNDS[1].budget
    assert float(rows[0][2]) == pytest.approx(beginning.share.max(), abs=0.006)


def test_a_method_that_has_not_run_leaves_its_cell_empty(tmp_path):
    write_result(tmp_path / PILOT.name / "slow-SM-G-SUM-16000.json", [9000] * 8)
    assert "| 0.08 squares, 5 degrees a frame | 8/8, 9.0k |  | " in PILOT.tables(tmp_path)[PILOT.name]


def test_every_setting_is_described_in_other_words():
    assert len({describe(setting) for setting in SETTINGS.values()}) == len(SETTINGS)


def test_a_round_runs_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(first_person_pilot, "SETTINGS", {"slow-last": SETTINGS["slow-last"]})
    monkeypatch.setattr(first_person_pilot, "ROUNDS", [ROUNDS[0]._replace(budget=251)])
    folders = ["--results", str(tmp_path), "--work", str(tmp_path / "work")]
    assert reproduce.main([PILOT.name, "--runs", "1", *folders]) == 0
    assert "fitness of the last place | 0/1, never" in (tmp_path / "README.md").read_text()
