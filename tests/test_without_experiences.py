"""Substitutes for experiences: what they are, and that the page shows what the command prints."""

import re
from pathlib import Path

import numpy as np

import without_experiences
from without_experiences import DOMAIN, SUBSTITUTES

PAGE = Path(__file__).parents[1] / "safe_mutation" / "docs" / "no_experiences.md"


def test_substitutes_are_inputs_of_each_parent():
    genomes = DOMAIN.network.initial_genomes(3, np.random.default_rng(0))
    seen = DOMAIN.evaluate(genomes).experiences
    for substitute in SUBSTITUTES.values():
        given = substitute(seen, np.random.default_rng(1))
        assert given.shape[0] == 3
        assert given.shape[2:] == (11,)
        assert 0 <= given.min() <= given.max() <= 1
    pool = {row.tobytes() for row in seen.reshape(-1, 11)}
    buffer = without_experiences.replay_buffer(seen, np.random.default_rng(1))
    assert {row.tobytes() for row in buffer.reshape(-1, 11)} <= pool
    first = without_experiences.first_rollout(seen, np.random.default_rng(1))
    assert all((first[n] == first[0]).all() for n in range(3))


def test_own_experiences_are_better_than_random_inputs(capsys):
    """And the page names the same rows."""
    without_experiences.children_table()
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d.]+ \| [\d.]+) \|", capsys.readouterr().out, re.MULTILINE))
    numbers = {name: [float(number) for number in cells.split(" | ")] for name, cells in rows.items()}
    own, random = numbers["the parent's own"], numbers["random inputs"]
    assert own[0] < 2 * without_experiences.SMALL
    assert own[0] < random[0]
    assert own[1] < random[1]
    assert numbers["none: plain mutation, sigma 0.05"][0] > 10 * random[0]
    assert set(rows) <= set(re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.MULTILINE))


def test_an_evolution_improves():
    start = DOMAIN.evaluate(DOMAIN.network.initial_genomes(20, np.random.default_rng(1))).fitness.max()
    assert without_experiences.evolve(SUBSTITUTES["random inputs"], 1, 200, size=20) > start
