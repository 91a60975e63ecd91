"""The steady-state GA and the hill climber: tournaments, replacement, states."""

import numpy as np
import pytest

from evolution.algorithms import ALGORITHMS
from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.individual import Individual


def individual(fitness, solved=False):
    return Individual(np.zeros(1, np.float32), fitness, solved, np.zeros((1, 1), np.float32))


def filled(size=10, tournament=5, **arguments):
    ga = SteadyStateGA(size, tournament, **arguments)
    assert ga.ask() == [None] * size
    ga.tell([individual(float(fitness)) for fitness in range(size)])
    return ga


def ask_one(algorithm):
    [parent] = algorithm.ask()
    return parent.fitness


def test_the_child_replaces_the_worst_of_its_parents_tournament():
    ga = filled(size=10, tournament=10)  # everyone takes part
    assert ask_one(ga) == 9.0
    ga.tell([individual(4.5)])
    assert sorted(each.fitness for each in ga.population) == [1, 2, 3, 4, 4.5, 5, 6, 7, 8, 9]
    assert ga.evaluations == 11


def test_a_worse_child_still_replaces():
    ga = filled(size=4, tournament=4)
    ga.ask()
    ga.tell([individual(-100.0)])
    assert min(each.fitness for each in ga.population) == -100.0


def test_selection_pressure_is_that_of_tournaments_of_five():
    ga = filled(size=100)
    parents = []
    for _ in range(2000):
        parents.append(ask_one(ga))
        ga.evaluations += 1  # another tournament, the same population
    # the best of five out of 0..99 drawn without replacement: 5/6 of the way up
    assert np.mean(parents) == pytest.approx(5 * 101 / 6 - 1, abs=1.5)


def test_tournaments_depend_on_seed_run_and_index_alone():
    def parents(seed, run):
        ga, found = filled(size=50, seed=seed, run=run), []
        for index in range(20):
            found.append(ask_one(ga))
            ga.tell([individual(float(index))])
        return found

    assert parents(1, 0) == parents(1, 0)
    assert parents(1, 0) != parents(1, 1)
    assert parents(1, 0) != parents(2, 0)


def test_asking_twice_is_asking_once():
    ga = filled(size=20)
    assert ga.ask()[0] is ga.ask()[0]


def test_a_child_may_replace_the_worst_of_another_tournament():
    ga = filled(size=100, tournament=5, removal="another")
    parent = ask_one(ga)
    ga.tell([individual(1000.0)])
    lost = set(range(100)) - {each.fitness for each in ga.population}
    same = filled(size=100, tournament=5)
    assert ask_one(same) == parent
    same.tell([individual(1000.0)])
    assert len(lost) == 1
    assert lost != set(range(100)) - {each.fitness for each in same.population}


def test_a_hill_climber_keeps_the_fitter():
    climber = HillClimber()
    assert climber.ask() == [None]
    for fitness, kept in ((1.0, 1.0), (0.5, 1.0), (1.0, 1.0), (3.0, 3.0), (float("nan"), 3.0)):
        climber.tell([individual(fitness)])
        assert ask_one(climber) == kept
    assert climber.population[0].fitness == 3.0


@pytest.mark.parametrize("make", ALGORITHMS.values(), ids=ALGORITHMS)
def test_a_state_continues_as_if_nothing_had_happened(make):
    def steps(algorithm, number, start=0):
        asked = []
        for step in range(start, start + number):
            parents = algorithm.ask()
            asked.append([parent and parent.fitness for parent in parents])
            chance = np.random.default_rng(step)
            children = [individual(float(fitness)) for fitness in chance.normal(size=len(parents))]
            algorithm.tell(children)
        return asked

    whole, cut, resumed = make(seed=3, run=1), make(seed=3, run=1), make(seed=3, run=1)
    expected = steps(whole, 60)
    steps(cut, 25)
    resumed.load({name: np.array(array) for name, array in cut.state().items()})
    assert steps(resumed, 35, start=25) == expected[25:]
    assert len(expected[0]) == len(whole.population)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="expected removal to be 'same' or 'another', got 'none'"):
        SteadyStateGA(removal="none")
    with pytest.raises(ValueError, match="tournament of 2 to population_size=3 individuals, got 5"):
        SteadyStateGA(3, 5)
    with pytest.raises(ValueError, match="expected 5 founders, got 1"):
        SteadyStateGA(5, 2).tell([individual(1.0)])
    ga = filled(size=5, tournament=2)
    with pytest.raises(ValueError, match="expected one child for each ask, got 2"):
        ga.tell([individual(1.0), individual(2.0)])
