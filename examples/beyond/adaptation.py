"""Whether it helps to adapt the divergence over a run: two rules against divergences that stay as they are.

All with SM-G-SO, in Recurrent Parity, the hard maze and the Topdown Maze. Both rules are for a whole
population and have a floor; they start at, or around, D = 0.03 and may go from 0.003 to 0.3.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from beyond.against_fixed import AgainstFixed, Variant
from beyond.race import DOMAIN_NAMES
from evolution.algorithms.group_elites_ga import GroupElitesGA
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA
from evolution.experiment import Experiment

PLACES = (*DOMAIN_NAMES, "topdown-maze")


def adaptive(rule: type[SteadyStateGA], experiment: Experiment) -> Experiment:
    """The experiment with a rule in its algorithm."""
    plain = experiment.algorithm
    assert isinstance(plain, SteadyStateGA)
    algorithm = rule(plain.population_size, plain.tournament_size, plain.removal)
    return dataclasses.replace(experiment, algorithm=algorithm)


RULES = {
    "1/5 success rule": Variant(SuccessRuleGA.name, "#ea580c", partial(adaptive, SuccessRuleGA)),
    "group elites": Variant(GroupElitesGA.name, "#0891b2", partial(adaptive, GroupElitesGA)),
}
ADAPTATION = AgainstFixed("beyond-adaptation", PLACES, RULES)
