"""Today's code against recorded searches: the first 500 evaluations of a run of figures 1 and 3.

python tests/test_replay.py    # records them again, after a change that is meant to change results
"""

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.recurrent_parity import RecurrentParity
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


@dataclass(frozen=True)
class Listening:
    """A domain that remembers the fitness of everything it evaluates."""

    domain: Domain
    heard: list[float] = field(default_factory=list)

    def evaluate(self, genomes):
        evaluation = self.domain.evaluate(genomes)
        self.heard.extend(evaluation.fitness.tolist())
        return evaluation

    def __getattr__(self, name):
        return getattr(self.domain, name)


def replay(case):
    """The record and the fitness of 500 evaluations of run 0 of a figure's experiment."""
    torch.set_num_threads(1)  # as reproduce.py does: two would round differently
    domain, method = CASES[case]
    figure = experiment(domain, method, runs=1, max_evaluations=500)
    listening = Listening(domain)
    for _ in replace(figure, domain=listening).lockstep().run():
        pass
    return {"record": figure.record(), "fitness": listening.heard}


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
