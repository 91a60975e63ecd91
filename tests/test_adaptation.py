"""Divergences adapted over a run: the rules, and how a scale reaches the operator and survives a stop."""

import dataclasses
import re

import numpy as np
import pytest
import torch

import reproduce
from beyond.adaptation import ADAPTATION
from beyond.directions import INCUMBENT
from beyond.drawn import DRAWN
from beyond.race import DIRECTIONS
from evolution.algorithms.group_elites_ga import GroupElitesGA
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA
from evolution.breed import Birth, breed, scaled_to
from evolution.domains.recurrent_parity import STRINGS, RecurrentParity
from evolution.experiment import Experiment
from evolution.individual import Individual
from records_of_studies import beside_the_default
from safe_mutation import SMGSO, sensitivity
from test_claims import write_result

DOMAIN = RecurrentParity()
OPERATOR = SMGSO(DOMAIN.network, divergence=0.02)


def individual(fitness):
    return Individual(np.zeros(1, np.float32), fitness, False, np.zeros((1, 1), np.float32))


def filled(kind, size=20, **arguments):
    algorithm = kind(size, 5, **arguments)
    algorithm.tell([individual(float(fitness)) for fitness in range(size)])
    return algorithm


def give(algorithm, gain):
    """One child that is fitter than its parent by so much."""
    [parent] = algorithm.ask()
    algorithm.tell([individual(parent.fitness + gain)])


# The success rule


def test_as_many_successes_as_wanted_leave_the_scale_as_it_is():
    algorithm = filled(SuccessRuleGA, successes=0.25)
    for gain in [1.0, -1.0, 0.0, -1.0] * 10:  # a child as fit as its parent is no success
        give(algorithm, gain)
    assert algorithm.scale == pytest.approx(1)


def test_successes_lengthen_steps_and_failures_shorten_them():
    algorithm = filled(SuccessRuleGA, successes=0.2, memory=50)
    for _ in range(50):
        give(algorithm, 1.0)
    assert algorithm.scale == pytest.approx(np.e)
    for _ in range(200):
        give(algorithm, -1.0)
    assert algorithm.scale == pytest.approx(1)


def test_the_scale_has_a_floor_and_a_ceiling():
    algorithm = filled(SuccessRuleGA, memory=1, floor=0.5, ceiling=2)
    for gain, expected in ((1.0, 2), (-1.0, 0.5)):
        for _ in range(20):
            give(algorithm, gain)
        assert algorithm.scale == expected


def test_the_scale_is_asked_for_as_if_all_children_in_the_making_failed():
    # So that children bred ahead need not be bred again for a divergence that has changed.
    algorithm = filled(SuccessRuleGA, memory=4, floor=0.7)
    expected = [algorithm.ask_scale(children) for children in range(8)]
    assert expected[0] == 1 > expected[1] > expected[-1] == 0.7
    for scale in expected:
        assert algorithm.scale == scale  # to the last digit
        give(algorithm, -1.0)


# Group elites


def test_every_child_belongs_to_a_group_in_turn():
    algorithm = filled(GroupElitesGA, groups=4, children=3)
    np.testing.assert_allclose(algorithm.scales, [0.1, 0.1 * 100 ** (1 / 3), 0.1 * 100 ** (2 / 3), 10])
    ahead = [algorithm.ask_scale(children) for children in range(4)]
    assert ahead == algorithm.scales.tolist()
    give(algorithm, 0.0)
    assert algorithm.ask_scale(0) == algorithm.scales[1]


def test_the_group_with_the_best_child_hands_its_scale_on():
    algorithm = filled(GroupElitesGA, groups=4, children=3, spread=1.5)
    first = algorithm.scales
    for child in range(12):  # group 2 has one excellent child and two bad ones, group 1 three good ones
        give(algorithm, {1: 1.0, 2: 50.0 if child == 6 else -9.0}.get(child % 4, -1.0))
    assert algorithm.scales[0] == first[2]
    for scale in algorithm.scales[1:]:
        assert any(elite / 1.5 <= scale <= elite * 1.5 for elite in first[1:3])
    assert (algorithm.gains == -np.inf).all()


def test_between_groups_that_gain_alike_the_shorter_step_is_preferred():
    algorithm = filled(GroupElitesGA, groups=4, children=1)
    for _ in range(4):
        give(algorithm, 0.0)
    assert algorithm.scales[0] == 0.1
    assert (algorithm.scales >= 0.1).all()


@pytest.mark.parametrize("kind", [SuccessRuleGA, GroupElitesGA])
def test_the_search_itself_is_the_papers(kind):
    """With a scale that cannot move, the same parents have the same children as without."""
    limits = {"floor": 1.0, "ceiling": 1.0}
    fixed = {} if kind is SuccessRuleGA else {"spread": 1.0}
    adapted = experiment(kind(20, 5, **limits, **fixed))
    plain = experiment(SteadyStateGA(20, 5))
    ends = []
    for one in (adapted, plain):
        lockstep = one.lockstep()
        for _ in lockstep.run():
            pass
        ends.append([replicate.champion.genome for replicate in lockstep.replicates])
    np.testing.assert_array_equal(*ends)


# Between the algorithm and the operator


def experiment(algorithm, **arguments):
    return Experiment(DOMAIN, OPERATOR, algorithm, seed=1, runs=2, max_evaluations=45, **arguments)


def test_a_child_diverges_by_the_scaled_divergence():
    founders = breed(DOMAIN, OPERATOR, [Birth(None, 1, 0, n) for n in range(3)]).children
    scales = [0.1, 1.0, 4.0]
    births = [Birth(parent, 1, 0, 3 + n, scales[n]) for n, parent in enumerate(founders)]
    children = breed(DOMAIN, OPERATOR, births).children
    for parent, child, scale in zip(founders, children, scales, strict=True):
        pair = [torch.from_numpy(one.genome)[None] for one in (parent, child)]
        reached = sensitivity.divergence(DOMAIN.network, *pair, torch.from_numpy(STRINGS)[None])
        assert float(reached) == pytest.approx(0.02 * scale, rel=0.11)


def test_scales_of_one_leave_the_operator_alone():
    assert scaled_to(OPERATOR, [1.0, 1.0]) is OPERATOR
    assert scaled_to(OPERATOR, [1.0, 0.5]).divergence == [0.02, 0.01]


@pytest.mark.parametrize("adapting", [SuccessRuleGA(20, 5), GroupElitesGA(20, 5, groups=4, children=2)])
def test_a_search_that_stops_goes_on_to_the_same_end(adapting):
    whole, stopped = (experiment(adapting) for _ in range(2))
    straight = whole.lockstep()
    for _ in straight.run():
        pass
    lockstep = stopped.lockstep()
    for _ in range(5):
        for _, _ in zip(range(3), lockstep.run(), strict=False):
            pass
        state = {name: np.asarray(array) for name, array in lockstep.state().items()}
        lockstep = stopped.lockstep()
        lockstep.load(state)
    for _ in lockstep.run():
        pass
    for one, other in zip(straight.replicates, lockstep.replicates, strict=True):
        assert one.evaluations == other.evaluations == 45
        np.testing.assert_array_equal(one.champion.genome, other.champion.genome)
        assert one.algorithm.ask_scale(0) == other.algorithm.ask_scale(0)
        assert one.algorithm.ask_scale(0) != adapting.ask_scale(1)  # it has moved


@pytest.mark.parametrize("kind", [SuccessRuleGA, GroupElitesGA])
def test_a_lag_is_refused(kind):
    # Told late, a child would be compared with another than its parent.
    with pytest.raises(ValueError, match=f"expected a lag of 1 for {kind.name}, which compares each child"):
        experiment(kind(20, 5), lag=3)


@pytest.mark.parametrize("kind", [SuccessRuleGA, GroupElitesGA])
@pytest.mark.parametrize("settings", [{"divergence": (0.01, 0.1)}, {"sigma": 0.1, "divergence": None}])
def test_an_operator_without_one_divergence_is_refused(kind, settings):
    operator = dataclasses.replace(OPERATOR, **settings)
    with pytest.raises(ValueError, match=r"expected an operator with one divergence for .+-ga, which scales"):
        Experiment(DOMAIN, operator, kind(20, 5), seed=1, runs=2, max_evaluations=45)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (SuccessRuleGA, {"floor": 0}, "expected 0 < floor <= 1 <= ceiling, got floor=0"),
        (SuccessRuleGA, {"successes": 1}, "expected a share of successes between 0 and 1"),
        (GroupElitesGA, {"floor": 2, "ceiling": 1}, "expected 0 < floor <= ceiling and a spread"),
        (GroupElitesGA, {"groups": 1}, "expected at least 2 groups of at least one child, got 1 of 10"),
    ],
)
def test_settings_out_of_range(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


# The study


def test_the_rules_differ_from_the_papers_search_in_nothing_else(tmp_path):
    request = reproduce.Request(1, (), tmp_path / "results", tmp_path / "work", 20, 100_000)
    jobs = ADAPTATION.jobs(request)
    assert len({job.result for job in jobs}) == 6
    fixed = {job.result: job.experiment for job in DIRECTIONS.jobs(request)}
    for job in jobs:
        domain = job.experiment.domain.name
        same = fixed.get(DIRECTIONS.file(request.results, domain, INCUMBENT))
        if same is None:  # the race is in two of the domains
            plain = INCUMBENT.experiment(job.experiment.domain, request)
            same = dataclasses.replace(plain, guess=job.experiment.guess)
        plain = same.record()
        own = job.experiment.record()
        rule = {**own["algorithm"]}
        assert {name: rule[name] for name in plain["algorithm"] if name != "class"} | {
            "class": "SteadyStateGA"
        } == plain["algorithm"]
        assert own | {"algorithm": plain["algorithm"]} == plain


def test_the_table_compares_rules_with_fixed_divergences(tmp_path):
    slow, quick = np.arange(90_000.0, 90_020.0), np.arange(1_000.0, 1_020.0)
    beyond, domain = tmp_path / "beyond", "recurrent-parity"
    write_result(beyond / "adaptation" / domain / "group-elites-ga.json", slow)
    write_result(beyond / "semifinals" / domain / "SM-G-SO-1-0.01.json", quick)
    write_result(beyond / "semifinals" / domain / "SM-G-SO-1-0.03.json", slow)
    [printed] = ADAPTATION.tables(tmp_path).values()
    lines = printed.splitlines()
    assert lines[0] == "| D | solved | median | p against fixed, 0.01 | p against fixed, 0.03 |"
    assert lines[2] == "| fixed, 0.01 | 20/20 | 1.0k |  |  |"
    assert re.fullmatch(r"\| group elites \| 20/20 \| 90.0k \| \S+e-07 \*\*slower\*\* \| 1 \|", lines[4])
    assert lines[-1] == "1 of 2 have finished."


def test_the_budget_in_the_topdown_maze_is_the_finalists(tmp_path):
    jobs = ADAPTATION.jobs(reproduce.Request(1, (), tmp_path / "results", tmp_path / "work"))
    budgets = {job.experiment.domain.name: job.experiment.max_evaluations for job in jobs}
    assert budgets == {
        "recurrent-parity": 100_000,
        "breadcrumb-hard-maze": 100_000,
        "topdown-maze": 10_000,
    }


def test_drawn_divergences_differ_from_the_default_in_nothing_else(tmp_path):
    request = reproduce.Request(1, (), tmp_path / "results", tmp_path / "work", 20, 100_000)
    jobs = DRAWN.jobs(request)
    assert len({job.result for job in jobs}) == 6
    records = beside_the_default(jobs, request)
    assert len(records) == len(jobs)
    for own, plain in records:
        low, high = own["operator"]["divergence"]
        assert low < plain["operator"]["divergence"] < high
        assert own | {"operator": own["operator"] | {"divergence": INCUMBENT.divergence}} == plain


def test_a_small_study_runs_from_the_command_line(tmp_path):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    small = ["--runs", "1", "--max-evaluations", "253"]
    assert reproduce.main(["beyond-adaptation", *small, *folders]) == 0
    folder = tmp_path / "results" / "beyond"
    assert len(list(folder.rglob("*.json"))) == 6
    assert (folder / "adaptation" / "adaptation.png").exists()
    page = (folder / "README.md").read_text()
    assert page.count("| group elites | 0/1 | never |") == 3
    assert "have finished" not in page


def test_drawn_divergences_run_from_the_command_line(tmp_path):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    assert reproduce.main(["beyond-drawn", "--runs", "1", "--max-evaluations", "253", *folders]) == 0
    folder = tmp_path / "results" / "beyond"
    assert (folder / "drawn" / "drawn.png").exists()
    page = (folder / "README.md").read_text()
    assert page.count("| 0.003 to 0.3 | 0/1 | never |") == 2
    assert "have finished" not in page
