"""A made-up algorithm, domain and figure, each from one file, evolved end to end, killed and resumed."""

import json
import re
import signal
import sys
from pathlib import Path

import pytest

import evolve
from evolution.result import read_champions
from forked import Forked

EXAMPLES = Path(evolve.__file__).parent

ALGORITHM = Path(__file__).with_name("truncation_ga.py").read_text()

DOMAIN = '''
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
import numpy as np
import torch
from evolution.domain import Domain, Evaluation

class Line:
    num_params = 3

    def __call__(self, params, inputs):
        return torch.tanh((params[:, None] * inputs).sum(2, keepdim=True))

    def initial_genomes(self, number, generator):
        return generator.standard_normal((number, 3), dtype=np.float32)

    def __repr__(self):
        return "Line of 3 weights"

@dataclass(frozen=True)
class Walk(Domain):
    """Bring the first weight to a target; episodes, and so experiences, are longer the better the genome."""

    name: ClassVar[str] = "walk"
    variants: ClassVar[dict] = {"far": {"target": 9.0}}
    target: float = 2.0

    @cached_property
    def network(self):
        return Line()

    def evaluate(self, genomes):
        error = np.abs(genomes[:, 0] - self.target).astype(np.float64)
        seen = [np.full((1 + int(20 / (1 + e)), 3), 0.1, np.float32) for e in error]
        return Evaluation(-error, error < 0.01, seen, [genome[:1] for genome in genomes])
'''

FIGURE = """
from dataclasses import dataclass
from evolution.domains.walk import Walk
from evolution.algorithms.truncation_ga import TruncationGA
from evolution.experiment import Experiment
from evolution.result import Search, solved_at
from paper.figure import Figure
from paper.statistics import Claim
from safe_mutation import SMGSum

@dataclass(frozen=True)
class Walks(Figure):
    def jobs(self, request):
        domain = Walk()
        operator = SMGSum(domain.network, sigma=0.02)
        walks = Experiment(domain, operator, TruncationGA(), request.seed, 3, 600)
        folder = request.results / self.name
        return [Search(walks, folder / "walks.json", request.work / self.name, request.command(self.name))]

    def draw(self, results):
        (results / self.name / "walks.txt").write_text("drawn")

    def claims(self, results):
        if not (results / self.name / "walks.json").exists():
            return []
        solved = solved_at(results / self.name / "walks.json")
        return [Claim("W", "walks arrive", "all", f"{solved}", "count", None, bool((solved < 600).all()))]

    def tables(self, results):
        return {"walks": "a table of walks\\n"}

WALKS = Walks("figure-walks")
"""


@pytest.fixture
def house(tmp_path):
    """A copy of the examples with one file and one line more for each."""
    root = tmp_path / "examples"
    for file in EXAMPLES.rglob("*"):
        if file.suffix in (".py", ".json") and "results" not in file.parts:
            (root / file.relative_to(EXAMPLES)).parent.mkdir(parents=True, exist_ok=True)
            (root / file.relative_to(EXAMPLES)).write_bytes(file.read_bytes())
    (root / "results").mkdir(exist_ok=True)
    add(root / "evolution" / "algorithms", "truncation_ga", ALGORITHM, "TruncationGA", "HillClimber")
    add(root / "evolution" / "domains", "walk", DOMAIN, "Walk", "RecurrentParity")
    add(root / "paper" / "figures", "walks", FIGURE, "WALKS", "FIGURE_1")
    return root


def add(package, module, text, name, beside):
    """Put a file into a package, and its name beside another into the package's list."""
    (package / f"{module}.py").write_text(f'"""Made up."""\n{text}')
    index = package / "__init__.py"
    place = re.compile(rf"for (\w+) in \((.*?)\b{beside}\b", flags=re.S)
    listed, number = place.subn(rf"for \1 in (\2{beside}, {name}", index.read_text())
    assert number == 1
    imported = f"\nfrom {package.parent.name}.{package.name}.{module} import {name}\n\n"
    index.write_text(listed.replace("\n\n", imported, 1))


def run(root, script, *arguments, kill_after=None):
    """Run a script of the copy, which may kill itself after so many steps of the search."""
    program = [
        "import os, sys; from evolution import experiment, lockstep; experiment.CHECKPOINT_INTERVAL = 0",
        "tell, told = lockstep.Replicate.tell, [0]",
        "def tell_or_die(self, children):",
        "    tell(self, children); told[0] += 1",
        f"    if told[0] == {kill_after}: os.kill(os.getpid(), 9)",
        "lockstep.Replicate.tell = tell_or_die",
        f"import {script}; sys.exit({script}.main())",
    ]
    paths = [root, *(entry for entry in sys.path if entry != str(EXAMPLES))]
    status, _, errors = Forked("\n".join(program), *arguments, paths=paths).wait()
    return status, errors


def test_a_new_algorithm_and_a_new_domain_evolve_by_name_and_survive_kills(house, tmp_path):
    arguments = ["walk", "--algorithm", "truncation-ga", "--operator", "SM-G-ABS"]
    arguments += ["--runs", "3", "--max-evaluations", "200"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(house, "evolve", *arguments, "--output", whole)[0] == 0
    record = json.loads((whole / "record.json").read_text())
    assert record["algorithm"] == {"class": "TruncationGA", "size": 6}
    assert record["operator"]["divergence"] == 0.03
    assert record["domain"]["target"] == 2.0
    assert record["domain"]["network"] == "Line of 3 weights"
    for steps in (1, 5, 17):
        status, errors = run(house, "evolve", *arguments, "--output", cut, kill_after=steps)
        assert status == -signal.SIGKILL, errors
    assert run(house, "evolve", *arguments, "--output", cut)[0] == 0
    for name in ("history.jsonl", "champion.npz", "record.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    status, errors = run(house, "evolve", *arguments, "--output", cut, "--variant", "far")
    assert status == 2
    assert "domain.target: 2.0 there, 9.0 now" in errors


def test_a_new_figure_is_computed_drawn_claimed_and_resumed(house, tmp_path):
    folders = ["--results", tmp_path / "results", "--work", tmp_path / "work"]
    for steps in (2, 9):
        status, errors = run(house, "reproduce", "figure-walks", *folders, kill_after=steps)
        assert status == -signal.SIGKILL, errors
    status, errors = run(house, "reproduce", "figure-walks", *folders)
    assert status == 0, errors
    page = (tmp_path / "results" / "README.md").read_text()
    assert "walks arrive" in page
    assert "a table of walks" in page
    assert (tmp_path / "results" / "figure-walks" / "walks.txt").read_text() == "drawn"
    champions = read_champions(tmp_path / "results" / "figure-walks" / "walks.npz")
    solutions = [champion for champion in champions if champion.solved]
    assert len(champions) == 3
    assert all(abs(solution.genome[0] - 2) < 0.01 for solution in solutions)


def test_an_unknown_name_lists_the_known(house, tmp_path):
    for known, script, arguments in (
        ("walk", "evolve", ["x"]),
        ("truncation-ga", "evolve", ["walk", "--algorithm", "x"]),
        ("figure-walks", "reproduce", ["x"]),
    ):
        status, errors = run(house, script, *arguments)
        assert status == 2
        assert known in errors
