"""Figures 6 and 8: the Topdown Maze and the First-person 3D Maze."""

from __future__ import annotations

from paper.figures.success_curves import Solved, SuccessCurves, ran
from paper.statistics import Claim, faster, more_solved
from paper.table_s2 import TABLE_S2


def topdown_claims(data: Solved) -> list[Claim]:
    """Figure 6, Topdown Maze."""
    methods = ("SM-G-SUM", "SM-G-SO")
    return [faster("6", method, data, 0.001) for method in methods if ran(data, method, "control")]


def first_person_claims(data: Solved) -> list[Claim]:
    """Figure 8, First-person 3D Maze."""
    budget = TABLE_S2["first-person-maze"].max_evaluations
    methods = ("SM-G-SUM", "SM-G-SO")
    return [
        more_solved("8", method, "control", data, budget)
        for method in methods
        if ran(data, method, "control")
    ]


FIGURE_6 = SuccessCurves("figure-6", "topdown-maze", topdown_claims)
FIGURE_8 = SuccessCurves("figure-8", "first-person-maze", first_person_claims)
