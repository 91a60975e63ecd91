"""The steady-state GA: tournaments, replacement, champion."""

import numpy as np
import pytest

from evolution.algorithms.steady_state_ga import Individual, SteadyStateGA


def individual(fitness, solved=False):
    return Individual(np.zeros(1, np.float32), fitness, solved, np.zeros((1, 1), np.float32))


def filled(size=10, tournament=5, **arguments):
    ga = SteadyStateGA(size, tournament, **arguments)
    for fitness in range(size):
        ga.tell(individual(float(fitness)))
    return ga


def test_the_child_replaces_the_worst_of_its_parents_tournament():
    ga = filled(size=10, tournament=10)  # everyone takes part
    assert ga.ask().fitness == 9.0
    ga.tell(individual(4.5))
    assert sorted(each.fitness for each in ga.population) == [1, 2, 3, 4, 4.5, 5, 6, 7, 8, 9]
    assert ga.evaluations == 11


def test_a_worse_child_still_replaces():
    ga = filled(size=4, tournament=4)
    ga.ask()
    ga.tell(individual(-100.0))
    assert min(each.fitness for each in ga.population) == -100.0
    assert ga.champion.fitness == 3.0


def test_selection_pressure_is_that_of_tournaments_of_five():
    ga = filled(size=100)
    parents = []
    for _ in range(2000):
        parents.append(ga.ask().fitness)
        ga.evaluations += 1  # another tournament, the same population
    # the best of five out of 0..99 drawn without replacement: 5/6 of the way up
    assert np.mean(parents) == pytest.approx(5 * 101 / 6 - 1, abs=1.5)


def test_tournaments_depend_on_seed_run_and_index_alone():
    def parents(seed, run):
        ga, found = filled(size=50, seed=seed, run=run), []
        for index in range(20):
            found.append(ga.ask().fitness)
            ga.tell(individual(float(index)))
        return found

    assert parents(1, 0) == parents(1, 0)
    assert parents(1, 0) != parents(1, 1)
    assert parents(1, 0) != parents(2, 0)


def test_asking_twice_is_asking_once():
    ga = filled(size=20)
    assert ga.ask() is ga.ask()


def test_a_solution_is_champion_whatever_its_fitness():
    ga = filled(size=5, tournament=2)
    ga.ask()
    ga.tell(individual(-7.0, solved=True))
    assert ga.champion.solved


def test_a_child_may_replace_the_worst_of_another_tournament():
    ga = filled(size=100, tournament=5, removal="another")
    parent = ga.ask()
    ga.tell(individual(1000.0))
    lost = set(range(100)) - {each.fitness for each in ga.population}
    same = filled(size=100, tournament=5)
    assert same.ask().fitness == parent.fitness
    same.tell(individual(1000.0))
    assert len(lost) == 1
    assert lost != set(range(100)) - {each.fitness for each in same.population}


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="expected removal to be 'same' or 'another', got 'none'"):
        SteadyStateGA(removal="none")
    with pytest.raises(ValueError, match="tournament of 2 to population_size=3 individuals, got 5"):
        SteadyStateGA(3, 5)
    ga = SteadyStateGA(5, 2)
    with pytest.raises(RuntimeError, match="expected 5 individuals before the first ask, got 0"):
        ga.ask()
    ga = filled(size=5, tournament=2)
    with pytest.raises(RuntimeError, match="expected an ask before each tell"):
        ga.tell(individual(1.0))
