"""How far our success curves lie from the paper's, and which rule of removal comes nearer."""

import numpy as np
import pytest

import reproduce
from paper.distance import PaperCurve, paper_curves
from paper.figures.removal import OTHER, REMOVAL, Pair, table
from paper.figures.success_curves import FIGURE_1, FIGURE_3
from paper.style import METHODS
from test_claims import write_result

CURVES = {name: paper_curves(name) for name in ("recurrent-parity", "breadcrumb-hard-maze")}


def half_by(evaluations):
    """A curve that rises evenly to one half at some evaluations out of 4,000 and stays there."""
    grid = np.linspace(0, 4_000, 401)
    return PaperCurve(grid, np.minimum(grid / evaluations, 1) / 2)


def test_the_gap_is_the_largest_difference_of_shares():
    chance = np.random.default_rng(1)
    for method, curve in CURVES["breadcrumb-hard-maze"].items():
        runs = np.where(chance.random(20) < 0.7, chance.integers(0, 120_000, 20), np.inf)
        expected = max(
            abs(sum(run <= at for run in runs) / 20 - share)
            for at, share in zip(curve.evaluations, curve.share, strict=True)
        )
        assert curve.gap(runs) == pytest.approx(expected), method
        np.testing.assert_allclose(curve.gap(np.stack([runs, runs[::-1]])), [expected] * 2)


def test_the_papers_curves_are_those_of_its_figures():
    control = CURVES["breadcrumb-hard-maze"]["control"]
    assert control.evaluations[-1] == 98_000 and control.share[-1] == 0.8
    assert sum(len(curves) for curves in CURVES.values()) == 10
    assert paper_curves("toy") == {}


def test_runs_drawn_from_a_curve_lie_on_it():
    curve = half_by(2_000)
    drawn = curve.draw((50_000,), np.random.default_rng(2))
    assert np.isfinite(drawn).mean() == pytest.approx(0.5, abs=0.01)
    assert curve.gap(drawn) < 0.01
    few = curve.gaps_by_chance(20, 20, 500, np.random.default_rng(3))
    many = curve.gaps_by_chance(2_000, 2_000, 50, np.random.default_rng(3))
    assert few.shape == (500,) and 0.1 < np.median(few) < 0.3
    assert np.median(many) < 0.04


def cells(pairs):
    rows = table(pairs).splitlines()
    found = {row.split("|")[2].strip() or "sum": row.split("|")[3:-1] for row in rows[2 : 3 + len(pairs)]}
    return found, float(rows[-1].split("p = ")[1].split()[0])


def test_rules_are_told_apart_where_they_differ_and_not_where_they_are_alike():
    chance = np.random.default_rng(4)
    curve = half_by(2_000)
    near, far = curve.draw((5, 20), chance), np.full((5, 20), np.inf)
    pairs = [Pair("3", f"method {n}", curve, 20, np.stack([far[n], near[n]])) for n in range(5)]
    found, p = cells(pairs)
    assert found["method 0"][0].strip() == "0.50" and found["method 0"][1].strip() == "0/20"
    assert found["sum"][0].strip() == "**2.50**"
    assert float(found["sum"][2].strip(" *")) == pytest.approx(sum(curve.gap(one) for one in near), abs=0.01)
    assert p < 0.01
    alike = [Pair("3", "method", curve, 20, np.stack([near[0], near[0][::-1]]))]
    assert cells(alike)[1] == 1


def test_the_table_has_the_methods_that_ran_with_both_rules(tmp_path):
    assert REMOVAL.tables(tmp_path) == {}
    for folder, methods in (("figure-3", ("control", "SM-R")), (f"figure-3-{OTHER}", ("control", "SM-G-SO"))):
        for method in methods:
            write_result(tmp_path / folder / f"{method}.json", np.linspace(5_000, 99_000, 20))
    [text] = REMOVAL.tables(tmp_path).values()
    assert [claim.figure for claim in REMOVAL.others[1].claims(tmp_path)] == [f'3, "{OTHER}"']
    assert [row.split("|")[2].strip() for row in text.splitlines()[2:4]] == ["control", ""]


def test_further_runs_count_where_both_rules_have_them(tmp_path):
    folders = ["figure-3", f"figure-3-{OTHER}"]
    for folder in (*folders, *(f"more/{folder}" for folder in folders)):
        for method in METHODS:
            number = 40 if folder.startswith("more") else 20
            write_result(tmp_path / folder / f"{method}.json", np.linspace(5_000, 99_000, number))
    (tmp_path / f"more/figure-3-{OTHER}" / "SM-R.json").unlink()
    tables = REMOVAL.tables(tmp_path)
    rows = [[cell.strip() for cell in row.split("|")] for row in tables["removal"].splitlines()[2:]]
    assert {row[2]: (row[4], row[6]) for row in rows[:5]} == dict.fromkeys(METHODS, ("60/60",) * 2) | {
        "SM-R": ("20/20",) * 2
    }
    assert set(tables) == {"removal"}
    assert f'| 3, "{OTHER}" |' in REMOVAL.others[1].tables(tmp_path)[f"figure-3-{OTHER} pooled"]


def test_only_the_rule_differs(tmp_path):
    request = reproduce.Request(1, ("control", "SM-G-ABS"), tmp_path, tmp_path)
    theirs = [*FIGURE_1.jobs(request), *FIGURE_3.jobs(request)]
    others = REMOVAL.jobs(request)
    assert len(others) == len(theirs) == 4
    for usual, other in zip(theirs, others, strict=True):
        before, after = usual.experiment.record(), other.experiment.record()
        assert {before["algorithm"].pop("removal"), after["algorithm"].pop("removal")} == {"same", "another"}
        assert before == after
        assert usual.result.parent.name + f"-{OTHER}" == other.result.parent.name
