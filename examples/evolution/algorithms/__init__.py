"""Evolutionary algorithms, one file each; a new one needs its name here to be found by the command lines."""

from evolution.algorithm import Algorithm
from evolution.algorithms.group_elites_ga import GroupElitesGA
from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA

ALGORITHMS: dict[str, type[Algorithm]] = {
    algorithm.name: algorithm for algorithm in (SteadyStateGA, HillClimber, SuccessRuleGA, GroupElitesGA)
}
