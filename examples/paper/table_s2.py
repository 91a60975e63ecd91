"""Tables S1 and S2 of the paper: what each of its experiments used.

Table S1, the mutation intensities, belongs to the operators and comes with ``safe_mutation``;
table S2 is here. Every experiment of ``evolve.py`` and ``reproduce.py`` reads its settings from
this file.
"""

from __future__ import annotations

from dataclasses import dataclass

OPERATORS = ("control", "SM-R", "SM-G-ABS", "SM-G-SUM", "SM-G-SO")


@dataclass(frozen=True)
class Settings:
    """Parameters of the steady-state GA in one domain (table S2)."""

    population_size: int
    tournament_size: int
    max_evaluations: int
    runs: int


TABLE_S2 = {
    "recurrent-parity": Settings(population_size=250, tournament_size=5, max_evaluations=100_000, runs=20),
    "breadcrumb-hard-maze": Settings(
        population_size=250, tournament_size=5, max_evaluations=100_000, runs=20
    ),
}
