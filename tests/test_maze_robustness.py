"""The table of how robust the hard maze's solutions are."""

from pathlib import Path

import numpy as np
import pytest

import maze_robustness
from evolution import replicates

FIGURE_3 = Path(maze_robustness.__file__).parent / "results" / "figure-3"


def test_each_operator_and_step_length_gets_a_share_of_each_solution():
    first = replicates.solutions(FIGURE_3)["control"][:1]
    found = maze_robustness.shares(first)
    assert len(found) == 5 + 4
    assert all(share.shape == (1,) and 0 <= share[0] <= 1 for share in found.values())


def test_the_table_compares_with_the_control():
    rng = np.random.default_rng(0)
    control, more = rng.uniform(0, 0.1, 20), np.linspace(0.01, 0.03, 20)
    found = {("table S1", name): control + more for name in maze_robustness.OPERATORS}
    found |= {("equal length", name): control + 10 * more for name in maze_robustness.SM_G}
    found["equal length", "control"] = control
    found["table S1", "control"] = control
    rows = {row.split("|")[1].strip(): row for row in maze_robustness.table(found).splitlines()}
    assert rows["control"].count("%") == 2
    assert rows["SM-G-SUM"].endswith("| 1.9e-06 |")  # 2 / 2^20: all twenty differences have one sign
    assert "| 1.9e-06 |  |  |" in rows["SM-R"]


def test_missing_solutions_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected the solutions of \['control'.*run figure-3 first"):
        replicates.solutions(tmp_path / "figure-3")
