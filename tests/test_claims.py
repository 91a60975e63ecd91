"""The tests of the paper's claims, on data where the right answer is known."""

import json

import numpy as np
import pytest

import reproduce
from evolution.atomic_file import write_npz
from evolution.individual import Individual, pack
from evolution.result import solved_at
from own_process import run_anew
from paper import results_page
from paper.figures import parity_mutants
from paper.figures.intensity_grid import BUDGET, INTENSITIES, result_file
from paper.figures.intensity_grid import table as intensity_table
from paper.figures.open_choices import OPEN_CHOICES
from paper.figures.success_curves import hard_maze_claims, parity_claims
from paper.markdown import markdown_table
from paper.statistics import faster, mean_evaluations, more_solved, table
from paper.style import METHODS

NEVER = np.inf


def runs(*evaluations):
    return np.array(evaluations, dtype=float)


def spread(start, stop, failures=0):
    return np.concatenate([np.linspace(start, stop, 20 - failures), [NEVER] * failures])


def write_result(path, evaluations):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "runs": [{"solved_at": None if at == NEVER else int(at)} for at in evaluations],
    }
    path.write_text(json.dumps(content))


def test_a_clearly_faster_method_is_faster_and_not_the_other_way_round():
    data = {"control": spread(40_000, 90_000), "SM-G-SUM": spread(10_000, 30_000)}
    claim = faster("1", "SM-G-SUM", data, 0.001)
    assert claim.holds
    assert claim.p < 1e-6
    assert claim.ours == "median 20.0k against 65.0k"
    swapped = {"control": data["SM-G-SUM"], "SM-G-SUM": data["control"]}
    assert not faster("1", "SM-G-SUM", swapped, 0.001).holds


def test_failures_count_as_slower_than_any_solution():
    solved_late = {"control": runs(*[NEVER] * 20), "SM-R": runs(*range(99_000, 99_020))}
    assert faster("1", "SM-R", solved_late, 0.001).holds
    assert faster("1", "SM-R", solved_late, 0.001).ours.endswith("against never")


def test_barnards_test_compares_counts_at_one_moment():
    data = {"SM-G-ABS": spread(10_000, 50_000), "control": spread(10_000, 50_000, failures=10)}
    claim = more_solved("3", "SM-G-ABS", "control", data, 60_000)
    assert claim.holds
    assert claim.ours == "20/20 against 10/20"
    assert claim.p == pytest.approx(0.0002, abs=0.0003)
    assert not more_solved("3", "SM-G-ABS", "control", data, 5_000).holds


def test_the_papers_pattern_satisfies_every_claim_of_the_hard_maze():
    data = {
        "control": spread(8_000, 99_000, failures=5),
        "SM-R": spread(30_000, 99_000, failures=9),
        "SM-G-ABS": spread(8_000, 58_000),
        "SM-G-SUM": spread(8_000, 99_000, failures=5),
        "SM-G-SO": spread(5_000, 30_000, failures=1),
    }
    assert [claim.holds for claim in hard_maze_claims(data)] == [True] * 6


def test_methods_that_are_all_alike_satisfy_no_claim_of_superiority():
    data = {method: spread(10_000, 90_000) for method in METHODS}
    assert not any(claim.holds for claim in parity_claims(data))


def test_the_table_of_claims_goes_into_the_readme_and_leaves_the_rest(tmp_path, capsys):
    for method in METHODS:
        write_result(tmp_path / "figure-1" / f"{method}.json", spread(10_000, 90_000))
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Results\n\n"
        + "outdated\n".join(mark.format("claims") for mark in results_page.MARKS)
        + "the end\n"
    )
    for _ in range(2):
        assert reproduce.main(["claims", "--results", str(tmp_path)]) == 0
    text = readme.read_text()
    assert text.startswith("# Results\n")
    assert text.endswith("the end\n")
    assert "outdated" not in text
    assert text.count("SM-R solves faster than control") == 1
    assert "**no**" in capsys.readouterr().out
    assert (tmp_path / "figure-1" / "figure-1.png").exists()
    assert (tmp_path / "figure-1" / "figure-1.svg").exists()


def test_a_choice_is_compared_with_the_control_that_made_the_same_choice(tmp_path):
    for figure in ("figure-1", "figure-3"):
        for method in METHODS:
            write_result(tmp_path / figure / f"{method}.json", spread(10_000, 90_000))
    slow, fast = spread(80_000, 99_000), spread(1_000, 9_000)
    write_result(tmp_path / "choices" / "parity-SO-unit.json", fast)
    write_result(tmp_path / "choices" / "parity-control-one-output.json", slow)
    write_result(tmp_path / "choices" / "parity-SUM-one-output.json", slow)
    rows = [row.strip("| ").split(" | ") for row in OPEN_CHOICES.table(tmp_path).splitlines()[2:]]
    p_values = {(row[1], row[2].split()[0]): row[5:] for row in rows}
    assert p_values["SM-G-SO", "direction"] == ["6.8e-08", "6.8e-08"]  # the figure's own control
    assert p_values["SM-G-SUM", "one"][1] == "1"  # the control with one output
    assert len(p_values["control", "one"]) == 1
    (tmp_path / "choices" / "parity-control-one-output.json").unlink()
    assert "SM-G-SUM" not in OPEN_CHOICES.table(tmp_path)  # the control with one output is missing


def test_runs_of_further_seeds_are_pooled(tmp_path):
    for method in METHODS:
        write_result(tmp_path / "figure-3" / f"{method}.json", spread(10_000, 90_000, failures=2))
        write_result(tmp_path / "more" / "figure-3" / f"{method}.json", spread(10_000, 90_000))
    assert reproduce.main(["claims", "--results", str(tmp_path)]) == 0
    single, pooled = (
        (tmp_path / "README.md").read_text().split(results_page.MARKS[0].format("figure-3 pooled"))
    )
    assert "control 18/20" in single
    assert "control 38/40" in pooled
    assert (tmp_path / "more" / "figure-3-pooled.png").exists()


def test_a_page_whose_second_mark_is_missing_is_left_alone(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("Words.\n<!-- claims: written by reproduce.py -->\nold\n\n## Written by hand")
    before = page.read_text()
    with pytest.raises(ValueError, match=r"expected '<!-- end of claims -->' after '<!-- claims"):
        results_page.fill_in(page, "claims", "new\n")
    assert page.read_text() == before
    page.write_text("Words without an end of line")
    for text in ("new\n", "newer\n"):
        results_page.fill_in(page, "claims", text)
        start = "Words without an end of line\n<!-- claims: written by reproduce.py -->\n"
        assert page.read_text() == f"{start}{text}<!-- end of claims -->\n"


def test_a_page_is_read_as_it_is_written_whatever_the_locale(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("δ√s\n", "utf-8")
    fill = "import pathlib, sys; from paper.results_page import fill_in; "
    fill += "fill_in(pathlib.Path(sys.argv[1]), 'claims', '')"
    run_anew("-c", fill, str(page), LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert page.read_text("utf-8").startswith("δ√s\n<!-- claims")


def test_claims_of_a_folder_that_is_not_there_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        reproduce.main(["claims", "--results", str(tmp_path / "typo")])
    assert "expected a folder of results, got" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("study", ["figure-S2", "maze-mutants", "beyond-held-out"])
def test_studies_of_solutions_say_so_where_nothing_was_solved(study, tmp_path, capsys):
    for figure in ("figure-1", "figure-3"):
        for method in METHODS:
            file = tmp_path / figure / f"{method}.npz"
            file.parent.mkdir(exist_ok=True)
            write_npz(file, pack("champion", [Individual(np.zeros(3, np.float32), 1.0, False, np.zeros(1))]))
    assert reproduce.main([study, "--results", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    assert "expected solved runs in" in capsys.readouterr().err


def test_figures_come_out_the_same_every_time(tmp_path):
    write_result(tmp_path / "figure-3" / "control.json", spread(10_000, 90_000, failures=3))
    pictures = []
    for _ in range(2):
        reproduce.main(["claims", "--results", str(tmp_path)])
        pictures.append([(tmp_path / "figure-3" / f"figure-3{end}").read_bytes() for end in (".png", ".svg")])
    assert pictures[0] == pictures[1]


def test_reading_a_result_turns_failures_into_infinity(tmp_path):
    write_result(tmp_path / "result.json", [5, NEVER, 7])
    np.testing.assert_array_equal(solved_at(tmp_path / "result.json"), [5, NEVER, 7])


def test_the_intensity_table_finds_the_best_of_each_row(tmp_path):
    for method in METHODS:
        for column, intensity in enumerate(INTENSITIES):
            write_result(result_file(tmp_path, method, intensity), [1000.0 * (1 + abs(column - 2))] * 8)
    assert mean_evaluations(runs(10, NEVER), BUDGET) == (10 + BUDGET) / 2
    rows = intensity_table(tmp_path).splitlines()[2:]
    assert [row.split("|")[-3].strip() for row in rows] == ["0.01"] * 5
    assert "| 8/8, 1k |" in rows[0]


def test_robustness_asks_for_the_solutions_first(tmp_path, capsys):
    assert reproduce.main(["figure-S2", "--results", str(tmp_path)]) == 2
    assert "run figure-1 first" in capsys.readouterr().err


def test_robustness_claims_follow_the_counts():
    rng = np.random.default_rng(1)

    def mutants(mean):
        return rng.binomial(16, mean, size=(20, 50)).tolist()

    correct = {
        by: {op: mutants(0.6 if op in ("control", "SM-R") else 0.9) for op in parity_mutants.MUTATORS}
        for by in METHODS
    }
    assert [claim.holds for claim in parity_mutants.claims(correct)] == [True] * 4
    correct["SM-R"]["SM-G-SO"] = mutants(0.5)
    assert [claim.holds for claim in parity_mutants.claims(correct)] == [True, True, False, True]


def test_the_table_is_markdown():
    claim = faster("1", "SM-R", {"control": spread(1, 9), "SM-R": spread(1, 9)}, 0.05)
    header, _, row = table([claim]).splitlines()
    assert header.count("|") == row.count("|") == 8


def test_a_table_refuses_a_row_that_does_not_fit_its_titles():
    text = markdown_table(["method", "runs"], [["control", "20"]], align="---:")
    assert text == "| method | runs |\n| ---: | ---: |\n| control | 20 |\n"
    with pytest.raises(ValueError, match=r"expected a row of 2 cells, method, runs, got \['control'\]"):
        markdown_table(["method", "runs"], [["control"]])


@pytest.mark.parametrize(
    "more", [["--share", "2/3"], ["--lag", "3"], ["--workers", "2"], ["--device", "cpu"]]
)
def test_claims_compute_nothing_and_take_no_argument_of_a_computation(more, tmp_path, capsys):
    with pytest.raises(SystemExit):
        reproduce.parse_arguments(["claims", "--results", str(tmp_path), *more])
    assert "expected none of the arguments of a computation with claims" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--lag", "--guess", "--group"])
def test_a_figure_without_searches_refuses_what_spreads_a_search(option, tmp_path, capsys):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    assert reproduce.main(["figure-S1", option, "2", *folders]) == 2
    assert f"expected a figure of searches with {option}, got figure-S1" in capsys.readouterr().err
