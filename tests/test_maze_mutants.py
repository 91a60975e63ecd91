"""The table of how robust the hard maze's solutions are."""

from pathlib import Path

import numpy as np
import pytest

import reproduce
from evolution.domains.hard_maze_picture import CONTROL_SIGMA, children, same_length
from paper.figures import maze_mutants
from paper.figures.success_curves import FIGURE_3
from paper.style import METHODS, SM_G

RESULTS = Path(reproduce.__file__).parent / "results"


def test_each_operator_and_step_length_gets_the_share_of_its_children_that_solve():
    solution = FIGURE_3.solutions(RESULTS)["SM-G-SUM"][0]
    found = maze_mutants.shares(solution, seed=1)
    assert set(found["table S1"]) == set(METHODS)
    assert set(found["equal length"]) == {"control", *SM_G}
    safe = same_length(maze_mutants.operator_of("SM-G-SUM"), solution, 1)
    alone = [maze_mutants.DOMAIN.evaluate(child[None]).solved[0] for child in children(safe, solution, 1)]
    assert found["equal length"]["SM-G-SUM"] == np.mean(alone)


def test_equal_lengths_are_the_controls():
    solution = FIGURE_3.solutions(RESULTS)["control"][0]
    safe = same_length(maze_mutants.operator_of("SM-G-ABS"), solution, 1)
    steps = children(safe, solution, 1) - solution.genome
    length = np.median(np.linalg.norm(steps, axis=1))
    assert length == pytest.approx(CONTROL_SIGMA * np.sqrt(len(solution.genome)), rel=0.02)


def test_the_table_compares_with_the_control():
    rng = np.random.default_rng(0)
    control, more = rng.uniform(0, 0.1, 20), np.linspace(0.01, 0.03, 20)
    found = {
        "table S1": {name: control + more for name in METHODS} | {"control": control},
        "equal length": {name: control + 10 * more for name in SM_G} | {"control": control},
    }
    rows = {row.split("|")[1].strip(): row for row in maze_mutants.table(found).splitlines()}
    assert rows["control"].count("%") == 2
    assert rows["SM-G-SUM"].endswith("| 1.9e-06 |")  # 2 / 2^20: all twenty differences have one sign
    assert "| 1.9e-06 |  |  |" in rows["SM-R"]


def test_missing_solutions_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected the solutions of \['control'.*run figure-3 first"):
        FIGURE_3.solutions(tmp_path)
