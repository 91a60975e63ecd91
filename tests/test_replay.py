"""Today's code against recorded searches: the first 500 evaluations of a run of figures 1 and 3.

python tests/test_replay.py    # records them again, after a change that is meant to change results
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.lockstep import Replicate
from evolution.record import MACHINE, differences
from paper.table_s2 import experiment

GOLDEN = Path(__file__).parent / "golden" / "replay.json"
CASES = {
    f"{domain.name}, {method}": (domain, method)
    for domain, method in (
        (RecurrentParity(), "SM-G-SUM"),
        (RecurrentParity(), "SM-R"),
        (BreadcrumbHardMaze(), "SM-G-SO"),
        (BreadcrumbHardMaze(), "SM-G-ABS"),
    )
}


class Listening(Replicate):
    """A replicate that remembers the fitness of every child."""

    def tell(self, children):
        self.__dict__.setdefault("heard", []).extend(child.fitness for child in children)
        super().tell(children)


def replay(case):
    """The record and the fitness of 500 evaluations of run 0 of a figure's experiment."""
    domain, method = CASES[case]
    figure = experiment(domain, method, runs=1, max_evaluations=500)
    lockstep = figure.lockstep()
    [replicate] = lockstep.replicates
    lockstep.replicates = [Listening(replicate.algorithm, replicate.max_evaluations)]
    for _ in lockstep.run():
        pass
    return {"record": figure.record(), "fitness": lockstep.replicates[0].heard}


@pytest.mark.parametrize("case", CASES)
def test_a_figures_run_comes_out_as_recorded(case):
    recorded, now = json.loads(GOLDEN.read_text())[case], replay(case)
    assert len(now["fitness"]) == len(recorded["fitness"]) == 500
    first = np.flatnonzero(np.array(now["fitness"]) != np.array(recorded["fitness"]))
    if len(first) and recorded["record"][MACHINE] != now["record"][MACHINE]:
        pytest.skip(
            f"recorded on {recorded['record'][MACHINE]}, whose arithmetic differs from that of "
            f"{now['record'][MACHINE]} from evaluation {first[0]} on"
        )
    other = list(differences(recorded["record"], now["record"]))
    assert not len(first), f"other results from evaluation {first[0]} on; other settings: {other}"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({case: replay(case) for case in CASES}) + "\n")
