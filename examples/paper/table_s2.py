"""Tables S1 and S2 of the paper: what each of its experiments used.

Table S1, the mutation intensities, belongs to the operators and comes with ``safe_mutation``;
table S2 is here. Every experiment of ``evolve.py`` and ``reproduce.py`` starts from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evolution.algorithm import Algorithm
from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.domain import Domain
from evolution.experiment import Experiment
from safe_mutation import BoldMutation, Mutation, SafeMutation, make
from safe_mutation.default_operator import DIVERGENCE
from safe_mutation.presets import PRESETS


@dataclass(frozen=True)
class Settings:
    """Algorithm and size of an experiment in one domain."""

    algorithm: Algorithm
    max_evaluations: int
    runs: int


TABLE_S2 = {
    "toy": Settings(HillClimber(), max_evaluations=2_000, runs=20),
    "recurrent-parity": Settings(SteadyStateGA(), max_evaluations=100_000, runs=20),
    "breadcrumb-hard-maze": Settings(SteadyStateGA(), max_evaluations=100_000, runs=20),
    "large-scale-32": Settings(SteadyStateGA(population_size=100), max_evaluations=50_000, runs=20),
    "large-scale-64": Settings(SteadyStateGA(population_size=100), max_evaluations=50_000, runs=20),
    "large-scale-101": Settings(SteadyStateGA(population_size=100), max_evaluations=50_000, runs=20),
    "topdown-maze": Settings(SteadyStateGA(), max_evaluations=50_000, runs=20),
    "first-person-maze": Settings(SteadyStateGA(), max_evaluations=50_000, runs=30),
}
# For domains that are not the paper's.
OTHERS = Settings(SteadyStateGA(), max_evaluations=50_000, runs=20)
UNTUNED: dict[str, type[Mutation]] = {kind.__name__: kind for kind in (SafeMutation, BoldMutation)}
"""Operators that are not the paper's and need no intensity."""


def settings(domain: Domain) -> Settings:
    """Table S2's row of a domain, or what other domains start from."""
    return TABLE_S2.get(domain.name, OTHERS)


def experiment(
    domain: Domain,
    method: str,
    *,
    seed: int = 1,
    runs: int | None = None,
    max_evaluations: int | None = None,
    intensity: float | None = None,
    options: Mapping[str, Any] | None = None,
    algorithm: Algorithm | None = None,
) -> Experiment:
    """The paper's experiment with a method in a domain, but for what is given here.

    Args:
        domain: The task.
        method: The paper's name of an operator, or one of ``UNTUNED``.
        seed: Of the experiment.
        runs: Replicates; table S2's by default.
        max_evaluations: Budget of each; table S2's by default.
        intensity: Sigma, or divergence for SM-R; table S1's by default. In domains that are not the paper's
            a divergence of 0.03 is the default for every operator.
        options: Further arguments of the operator.
        algorithm: The algorithm; table S2's by default.

    Raises:
        ValueError: If the method is unknown, or a number is out of range.
    """
    row = settings(domain)
    return Experiment(
        domain,
        _operator(domain, method, intensity, dict(options or {})),
        row.algorithm if algorithm is None else algorithm,
        seed,
        row.runs if runs is None else runs,
        row.max_evaluations if max_evaluations is None else max_evaluations,
    )


def _operator(domain: Domain, method: str, intensity: float | None, options: dict[str, Any]) -> Mutation:
    if method in UNTUNED:
        if intensity is not None:
            raise ValueError(
                f"expected a divergence or nothing for {method}, got an intensity of {intensity}"
            )
        return UNTUNED[method](domain.network, **options)
    published = domain.name if domain.name in PRESETS else None
    if published is None and intensity is None:
        options.setdefault("divergence", DIVERGENCE)
    return make(method, domain.network, domain=published, intensity=intensity, **options)
