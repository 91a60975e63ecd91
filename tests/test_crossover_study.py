"""The study of children of two solutions: operators, measures, intervals."""

import json
import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

import reproduce
from beyond import crossover, crossover_ways
from beyond.crossover import DOMAINS, interval, outcomes
from beyond.crossover_children import (
    SIBLINGS,
    STRANGERS,
    both_orders,
    every_pair,
    kept_experiences,
    measure,
    mutants,
    pair,
)
from beyond.crossover_operators import DIVERGENCE, OPERATORS
from beyond.parents import random_genomes, solutions
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze

RESULTS = Path(reproduce.__file__).parent / "results"
PARITY, FIGURE_1 = DOMAINS["recurrent-parity"]
MAZE, FIGURE_3 = DOMAINS["breadcrumb-hard-maze"]


def equation_1(domain, one, other, experiences):
    outputs = [
        domain.network(torch.from_numpy(w)[None], torch.from_numpy(experiences)[None]) for w in (one, other)
    ]
    return float((outputs[0] - outputs[1]).double().square().sum(-1).mean())


@pytest.mark.parametrize("name", ["recurrent-parity", "breadcrumb-hard-maze"])
def test_every_operator_keeps_its_word(name):
    domain, figure = DOMAINS[name]
    parents = solutions(figure, domain, RESULTS, 3, seed=1)
    seen = kept_experiences(domain, parents, 1)
    assert all(len(one) == min(100, len(one)) for one in seen)
    pairs = pair(domain, parents, seen, list(permutations(range(3), 2)), 1)
    children = {operator: make(pairs) for operator, make in OPERATORS.items()}
    for n, (a, b) in enumerate(permutations(range(3), 2)):
        reached = {
            operator: equation_1(domain, parents[a], made[n], seen[a]) for operator, made in children.items()
        }
        for operator in ("no crossover: SM-G-SO, D", "interpolation, D", "Fisher, D"):
            assert reached[operator] == pytest.approx(DIVERGENCE, rel=0.11)
        np.testing.assert_array_equal(children["interpolation, halfway"][n], (parents[a] + parents[b]) / 2)
        from_a = children["uniform crossover"][n] == parents[a]
        assert 0.4 < from_a.mean() < 0.6
        assert (children["uniform crossover"][n][~from_a] == parents[b][~from_a]).all()
        for operator in ("interpolation, D", "Fisher"):  # between the parents, weight by weight
            low, high = np.minimum(parents[a], parents[b]), np.maximum(parents[a], parents[b])
            made = children[operator][n]
            assert ((made >= low - 1e-5) & (made <= high + 1e-5)).all()
        way = children["interpolation, D"][n] - parents[a]
        line = parents[b] - parents[a]
        assert way @ line / np.linalg.norm(way) / np.linalg.norm(line) == pytest.approx(1, abs=1e-4)


def test_measures_are_those_of_each_pair():
    parents = solutions(FIGURE_1, PARITY, RESULTS, 3, seed=1)
    found = measure(PARITY, parents, every_pair(3), OPERATORS["interpolation, halfway"], seed=1)
    seen = kept_experiences(PARITY, parents, 1)
    for n, (a, b) in enumerate(permutations(range(3), 2)):
        child = (parents[a] + parents[b]) / 2
        assert found["first"][n] == pytest.approx(equation_1(PARITY, parents[a], child, seen[a]), rel=1e-3)
        assert found["second"][n] == pytest.approx(equation_1(PARITY, parents[b], child, seen[b]), rel=1e-3)
        assert found["solves"][n] == PARITY.evaluate(child[None]).solved[0]
        assert found["way"][n] == pytest.approx(0.5, rel=1e-3)


def test_outcomes_at_the_limit():
    found = outcomes({"solves": [1, 0], "first": [0.033, 0.0331], "second": [0.0, 1.0], "way": [1, 1]})
    assert {name: hits.tolist() for name, hits in found.items()} == {
        "solves": [True, False], "keeps the first": [True, False], "keeps the second": [True, False],
    }  # fmt: skip


def test_intervals_are_of_the_solutions_not_of_the_pairs():
    """One solution in four passes whatever it is crossed with: 380 pairs, yet only 20 independent ones."""
    good = np.arange(20) % 4 == 0
    hits = np.array([good[a] for a, _ in permutations(range(20), 2)])
    low, high = interval(hits, STRANGERS)
    assert low < 0.15 and high > 0.38
    assert interval(np.ones(380, bool), STRANGERS) == (1, 1)
    even = np.random.default_rng(0).random(380) < 0.5  # pairs that are independent
    low, high = interval(even, STRANGERS)
    assert high - low < 0.3


def test_intervals_of_siblings_are_of_the_families():
    families = np.repeat(np.arange(20) % 4 == 0, 2)
    low, high = interval(families, SIBLINGS)
    assert low == pytest.approx(0.1, abs=0.06) and high == pytest.approx(0.45, abs=0.06)


def test_siblings_are_two_mutants_of_one_solution():
    found = solutions(FIGURE_3, MAZE, RESULTS, 2, seed=1)
    siblings = mutants(MAZE, found, 1)
    seen = kept_experiences(MAZE, np.repeat(found, 2, axis=0), 1)
    assert len({genome.tobytes() for genome in siblings}) == 4
    for n, genome in enumerate(siblings):
        assert equation_1(MAZE, found[n // 2], genome, seen[n]) == pytest.approx(DIVERGENCE, rel=0.11)
    assert both_orders(2) == [(0, 1), (1, 0), (2, 3), (3, 2)]


def test_it_runs_from_the_command_line(tmp_path, monkeypatch):
    few = {name: OPERATORS[name] for name in ("interpolation, halfway", "Fisher, D")}
    monkeypatch.setattr(crossover, "OPERATORS", few)
    monkeypatch.setattr(crossover_ways, "PICTURED", tuple(few))
    monkeypatch.setattr(crossover, "SOLUTIONS", 3)
    results = tmp_path / "results"
    for figure in ("figure-1", "figure-3"):
        (results / figure).mkdir(parents=True)
        for file in (RESULTS / figure).glob("*.npz"):
            (results / figure / file.name).symlink_to(file)
    assert reproduce.main(["beyond-crossover", "--results", str(results)]) == 0
    folder = results / "beyond" / "crossover"
    assert sorted(path.name for path in folder.iterdir()) == [
        "breadcrumb-hard-maze-siblings.json", "breadcrumb-hard-maze-strangers.json", "children.png",
        "children.svg", "recurrent-parity-siblings.json", "recurrent-parity-strangers.json", "ways.json",
    ]  # fmt: skip
    found = json.loads((folder / "breadcrumb-hard-maze-siblings.json").read_text())["children"]
    assert {len(values) for own in found.values() for values in own.values()} == {6}
    page = (results / "beyond" / "README.md").read_text()
    assert page.count("| Fisher, D | ") == 4
    ways = json.loads((folder / "ways.json").read_text())
    parents = solutions(FIGURE_3, MAZE, results, 3, seed=1)
    halfway = MAZE.evaluate((parents[:1] + parents[1:]) / 2)
    driven = ways["children"]["interpolation, halfway"]
    assert driven["solved"] == halfway.solved.tolist()
    np.testing.assert_allclose(driven["ways"], halfway.behavior, atol=0.051)
    np.testing.assert_allclose(ways["own"], MAZE.evaluate(parents[:1]).behavior[0], atol=0.051)


def test_the_picture_is_drawn_of_what_was_driven(tmp_path, monkeypatch):
    """On another processor children drive other ways: who only draws must not drive them again."""
    folder = tmp_path / "beyond" / "crossover"
    folder.mkdir(parents=True)
    shutil.copy(RESULTS / "beyond" / "crossover" / "ways.json", folder)
    monkeypatch.setattr(BreadcrumbHardMaze, "evaluate", None)
    crossover.CROSSOVER.draw(tmp_path)
    assert (folder / "children.png").exists()


def test_no_solutions_anywhere(tmp_path, capsys):
    assert reproduce.main(["beyond-crossover", "--results", str(tmp_path)]) == 2
    assert "expected solutions of figure-1, -3 or -6" in capsys.readouterr().err


def test_one_solution_has_no_other(tmp_path, capsys):
    (tmp_path / "figure-1").symlink_to(RESULTS / "figure-1")
    assert reproduce.main(["beyond-crossover", "--runs", "1", "--results", str(tmp_path)]) == 2
    assert "expected at least two solutions of figure-1, got 1" in capsys.readouterr().err


def test_experiences_may_be_dicts_of_pictures():
    domain, _ = DOMAINS["topdown-maze"]
    parents = random_genomes(domain, 2, seed=1)
    seen = kept_experiences(domain, parents, 1)
    assert isinstance(seen[0], dict)
    for operator in ("interpolation, D", "Fisher, D"):
        found = measure(domain, parents, every_pair(2), OPERATORS[operator], seed=1)
        assert all(first <= DIVERGENCE * 1.1 for first in found["first"])
        assert all(0 < way <= 1 for way in found["way"])
