"""Searches in a stranger's domain: numbers that are none, memory used again, settings without a name."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.breed import breed
from evolution.domain import Domain, Evaluation
from evolution.experiment import Experiment
from evolution.folder_lock import locked
from evolution.history import entry
from evolution.networks.feed_forward import FeedForward
from evolution.record import describe, differences
from evolve import evolve_in
from safe_mutation import SMGSO, GaussianMutation, SMGRms, SMGSum

NETWORK = FeedForward([3, 4, 2])
INPUTS = np.random.default_rng(0).random((5, 3), np.float32)


@dataclass(frozen=True)
class Stranger(Domain):
    """The larger the first weight, the better; whatever ``strange`` makes of it."""

    name = "stranger"
    strange: Any = None

    @property
    def network(self):
        return NETWORK

    def evaluate(self, genomes):
        fitness = genomes[:, 0].astype(float)
        experiences = np.tanh(genomes[:, None, :3] + INPUTS)
        behavior = genomes[:, :1].copy()
        solved = np.zeros(len(genomes), bool)
        evaluation = Evaluation(fitness, solved, experiences, behavior)
        return evaluation if self.strange is None else self.strange(genomes, evaluation)


def failed_above_a_half(genomes, evaluation):
    """As of a simulator that fails where it gets interesting, founders included."""
    return replace(evaluation, fitness=np.where(genomes[:, 0] > 0.5, np.nan, evaluation.fitness))


def without_an_entry(genomes, evaluation):
    return replace(evaluation, fitness=evaluation.fitness[1:])


def solved_from_one_on(genomes, evaluation):
    return replace(evaluation, solved=genomes[:, 0] > 1)


def search(strange=None, operator=None, algorithm=None, **settings):
    operator = operator or GaussianMutation(NETWORK, sigma=0.2)
    algorithm = algorithm or SteadyStateGA(population_size=10, tournament_size=3)
    settings = {"seed": 1, "runs": 3, "max_evaluations": 200, "stop_when_solved": False} | settings
    return Experiment(Stranger(strange=strange), operator, algorithm, **settings)


def run(experiment):
    lockstep = experiment.lockstep()
    for _ in lockstep.run():
        pass
    return lockstep.replicates


@pytest.mark.parametrize("algorithm", [HillClimber(), SteadyStateGA(10, 3)], ids=lambda one: one.name)
def test_a_fitness_that_is_no_number_is_the_worst(algorithm):
    for replicate in run(search(failed_above_a_half, algorithm=algorithm, runs=20)):
        best = max(individual.fitness for individual in replicate.algorithm.population)
        assert np.isfinite(best) and best <= 0.5
        assert replicate.champion.fitness == best


def test_a_line_of_the_history_is_json_where_there_are_no_numbers():
    replicates = run(search(lambda genomes, e: replace(e, fitness=np.full(len(genomes), np.nan))))
    assert json.loads(json.dumps(entry(replicates[0]), allow_nan=False))["best_fitness"] is None


def test_a_genome_that_is_not_finite_has_no_offspring():
    operator = GaussianMutation(NETWORK, sigma=5e37)  # some generations on, half of the children overflow
    overflown = []

    def noting(genomes, evaluation):
        overflown.extend((~np.isfinite(genomes)).any(axis=1))
        return evaluation

    [replicate] = run(search(noting, operator, SteadyStateGA(20, 5), runs=1))
    assert sum(overflown) > 10
    assert np.isfinite(replicate.champion.genome).all() and replicate.champion.fitness > 1e38


@pytest.mark.parametrize(
    ("strange", "message"),
    [
        (without_an_entry, r"expected stranger to give fitness of shape \(10,\), got \(9,\)"),
        (
            lambda genomes, e: replace(e, solved=e.solved[:, None]),
            r"expected stranger to give solved of shape \(10,\), got \(10, 1\)",
        ),
        (
            lambda genomes, e: replace(e, experiences=[(one, one) for one in e.experiences]),
            "experiences as an array of numbers, or a dict of them, for each genome, got tuple",
        ),
        (
            lambda genomes, e: replace(e, experiences=[{"a": {"b": one}} for one in e.experiences]),
            "expected stranger to give experiences .* got dict",
        ),
        (
            lambda genomes, e: replace(e, behavior=np.full((len(genomes), 1), "n")),
            "expected stranger to give behavior as an array of numbers for each genome, got one of <U1",
        ),
        (
            lambda genomes, e: replace(e, behavior=[None] * len(genomes)),
            "expected stranger to give behavior as an array of numbers for each genome, got NoneType",
        ),
    ],
)
def test_an_evaluation_of_another_shape_is_refused(strange, message):
    with pytest.raises(ValueError, match=message):
        run(search(strange))


def test_experiences_written_over_later_are_those_of_their_own_evaluation():
    buffer = np.zeros((10, 5, 3), np.float32)

    def into_one_buffer(genomes, evaluation):
        buffer[: len(genomes)] = genomes[:, :1, None]
        return replace(evaluation, experiences=buffer[: len(genomes)])

    for replicate in run(search(into_one_buffer)):
        for individual in replicate.algorithm.population:
            assert (individual.experiences == individual.genome[0]).all()


def test_an_individual_keeps_no_batch_of_experiences_alive():
    [replicate] = run(search(runs=1))
    for individual in replicate.algorithm.population:
        assert individual.experiences.base is None


@pytest.mark.parametrize("kind", [SMGSum, SMGRms])
@pytest.mark.parametrize("kept", [100, 3])
def test_guesses_are_the_same_search_where_sensitivities_are_drawn_too(kind, kept):
    operator = kind(NETWORK, divergence=0.03, max_experiences=kept, precision="float64")
    one_by_one, guessed = (run(search(operator=operator, guess=guess)) for guess in (1, 8))
    for one, other in zip(one_by_one, guessed, strict=True):
        for a, b in zip(one.algorithm.population, other.algorithm.population, strict=True):
            np.testing.assert_array_equal(a.genome, b.genome)


def mutate_as_we_do(params, *, generator, **_):
    return params + np.stack([one.normal(0, 0.1, params.shape[1]) for one in generator]).astype(np.float32)


def test_a_function_as_an_operator_is_recorded_by_its_name():
    record = search(operator=mutate_as_we_do).record()
    assert record["operator"] == f"{__name__}.mutate_as_we_do"
    assert len(run(search(operator=mutate_as_we_do))) == 3


class Nameless:
    def __call__(self, params, **arguments):
        return params


def test_sets_and_nan_among_settings_are_recorded_alike_in_every_process():
    names = {"north", "west", "east", "south"}
    assert describe(Stranger(strange=names))["strange"] == sorted(names, key=repr)
    once, again = ({"domain": describe(Stranger(strange=float("nan")))} for _ in range(2))
    assert not list(differences(json.loads(json.dumps(once)), again))


@dataclass
class Tallying(SteadyStateGA):
    """Changes an array of its state in place."""

    tally: np.ndarray = field(default_factory=lambda: np.zeros(3, np.int64), init=False, repr=False)

    def tell(self, children):
        super().tell(children)
        self.tally[0] += len(children)

    def state(self):
        return super().state() | {"tally": self.tally}


def test_a_state_is_of_the_moment_though_arrays_change_in_place():
    [replicate] = search(algorithm=Tallying(10, 3), runs=1).lockstep().replicates
    replicate.tell(breed_next(replicate))
    state = replicate.state()
    replicate.tell(breed_next(replicate))
    assert state["algorithm.tally"][0] == 10 < replicate.algorithm.tally[0]


def breed_next(replicate):
    experiment = search()
    return breed(experiment.domain, experiment.operator, replicate.births()).children


@pytest.mark.parametrize("nameless", [Nameless(), lambda params, **_: params])
def test_what_looks_otherwise_in_every_process_is_refused_before_the_search(nameless, tmp_path):
    with pytest.raises(ValueError, match="expected settings that look the same in every process, got <"):
        search(operator=nameless).record()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "expected a seed from 0 to 2\\*\\*63 - 1, got -1"),
        ({"seed": 2**63}, "expected a seed from 0 to 2"),
        ({"runs": 0}, "expected runs to be at least 1, got 0"),
        ({"group": 2.5}, "expected group to be an int, got 2.5"),
        ({"guess": None}, "expected guess to be an int, got None"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        search(**settings)


def lines(folder):
    return (folder / "history.jsonl").read_text().splitlines()


def test_a_listener_that_fails_loses_no_line(tmp_path):
    experiment, calls = search(max_evaluations=1000), []

    def fails_once(line):
        calls.append(line)
        if len(calls) == 4:
            raise ConnectionError("the network is down")

    for name, listeners in (("straight", ()), ("failing", (fails_once,))):
        folder = tmp_path / name
        with locked(folder):
            if listeners:
                with pytest.raises(ConnectionError):
                    evolve_in(folder, experiment, solutions=3, listeners=listeners)
            evolve_in(folder, experiment, solutions=3, listeners=listeners)
    assert sorted(lines(tmp_path / "failing")) == sorted(lines(tmp_path / "straight"))
    assert len(lines(tmp_path / "straight")) == 12


@pytest.mark.parametrize("guess", [1, 10])
def test_a_solution_among_several_children_of_a_step_has_its_line(guess, tmp_path):
    domain = Stranger(strange=solved_from_one_on)
    experiment = replace(search(guess=guess, runs=1, max_evaluations=249), domain=domain)
    with locked(tmp_path):
        evolve_in(tmp_path, experiment, solutions=2)
    assert ['"solved": true' in line for line in lines(tmp_path)] == [True]


def test_steps_of_the_default_operator_work_here_too():
    [replicate] = run(search(operator=SMGSO(NETWORK, divergence=0.03), runs=1))
    assert replicate.champion.fitness > 0.5
