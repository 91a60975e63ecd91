"""The brood of a generational algorithm spread over workers: the same search, whoever breeds."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import Experiment
from evolution.workers import Here, Workers
from safe_mutation import SMGSum
from truncation_ga import TruncationGA


@pytest.fixture(scope="module")
def search():
    """Two replicates of three generations, whose broods of 14 are bred in batches of 4."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    domain = RecurrentParity()
    yield Experiment(
        domain, SMGSum(domain.network, sigma=0.02), TruncationGA(size=7), 1, 2, 7 + 3 * 14, group=4
    )
    torch.set_num_threads(before)


class Noting(Here):
    """Breeds here, and knows what it was asked for."""

    def __init__(self, experiment):
        super().__init__(experiment.domain, experiment.operator)
        self.sizes = []

    def submit(self, births):
        self.sizes.append(len(births))
        return births


def end(lockstep, breeder=None):
    """What a search comes to."""
    for _ in lockstep.run(breeder):
        pass
    states = [replicate.algorithm.state() | replicate.state() for replicate in lockstep.replicates]
    return [(name, np.array(array).tobytes()) for state in states for name, array in sorted(state.items())]


def test_a_brood_is_bred_in_batches_and_founders_in_one(search):
    noting = Noting(search)
    end(search.lockstep(), noting)
    assert noting.sizes == [7, 7] + [4, 4, 4, 2] * 6
    noting = Noting(search)
    end(replace(search, group=None).lockstep(), noting)
    assert noting.sizes == [7, 7] + [14] * 6


@pytest.mark.parametrize("number", [1, 2, 4])
def test_any_number_of_workers_comes_to_the_same(search, number):
    with ThreadPoolExecutor(number) as threads:
        workers = Workers(search.domain, search.operator, threads)
        assert end(search.lockstep(), workers) == end(search.lockstep())


def test_a_search_that_is_cut_short_goes_on_to_the_same(search):
    expected = end(search.lockstep())
    for cut in range(4):
        lockstep, again = search.lockstep(), search.lockstep()
        for number, _ in enumerate(lockstep.run()):
            if number == cut:
                break
        again.load({name: np.array(array) for name, array in lockstep.state().items()})
        assert end(again) == expected


def test_the_size_of_the_batches_is_a_part_of_the_record(search):
    records = [replace(search, group=group).record() for group in (None, 2, 4)]
    assert [record.get("batch") for record in records] == [None, 2, 4]
    assert records[0]["group"] == records[1]["group"] == 2  # replicates, of which there are no more
