"""The study of children on experiences that their operator did not see."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import reproduce
from beyond import held_out
from beyond.directions import Setting
from beyond.held_out import DOMAINS, OPERATORS
from beyond.parents import random_genomes, solutions
from evolution.domains.recurrent_parity import STRINGS

RESULTS = Path(reproduce.__file__).parent / "results"
PARITY, _, _ = DOMAINS["recurrent-parity"]
MAZE, _, _ = DOMAINS["breadcrumb-hard-maze"]


def test_nothing_that_is_held_out_has_been_seen():
    parents = random_genomes(PARITY, 3, seed=1)
    seen, others = held_out.parity_sets(PARITY, parents, 1)
    for own, held in zip(seen, others["the other eight strings"], strict=True):
        strings = {tuple(string.ravel()) for string in np.concatenate([own, held])}
        assert strings == {tuple(string.ravel()) for string in STRINGS}
    assert not np.array_equal(seen[0], seen[1])
    parents = random_genomes(MAZE, 3, seed=1)
    seen, others = held_out.maze_sets(MAZE, parents, 1)
    episodes = MAZE.evaluate(parents).experiences
    for n in range(3):
        assert seen[n].shape == others["other moments"][n].shape == (100, 11)
        rows = np.concatenate([seen[n], others["other moments"][n]])
        places = [{int(i) for i in np.flatnonzero((episodes[n] == row).all(1))} for row in rows]
        assert all(places)  # all are of its own episode
    np.testing.assert_array_equal(others["what another has seen"][1], seen[0])
    assert others["from another place"].shape == (3, 100, 11)


def test_the_other_episode_starts_elsewhere_and_follows_the_policy():
    [solution] = solutions(held_out.FIGURE_3, MAZE, RESULTS, 1, seed=1)
    [episode] = held_out.drive_from_elsewhere(MAZE, solution[None])
    assert episode.shape == (400, 11)
    [usual] = MAZE.evaluate(solution[None]).experiences
    assert not np.array_equal(episode[0], usual[0])
    again = held_out.drive_from_elsewhere(MAZE, np.stack([solution, -solution]))
    np.testing.assert_array_equal(again[0], episode)
    assert not np.array_equal(again[1], episode)


def test_ratios_equal_loops():
    parents = random_genomes(PARITY, 2, seed=1)
    seen, others = held_out.parity_sets(PARITY, parents, 1)
    one = Setting("SM-G-SUM", 0.5, 0.02)
    found = held_out.ratios(PARITY, one, parents, seen, others, 7)["the other eight strings"]
    for n, parent in enumerate(parents):
        ratios = []
        for child in range(held_out.CHILDREN):
            noise = held_out.stream(7, n, child, held_out.Purpose.ROBUSTNESS)
            tolerance = one.options["tolerance"]
            operator = held_out.make(
                "SM-G-SUM", PARITY.network, divergence=0.02, exponent=0.5, tolerance=tolerance
            )
            genome = operator(parent, experiences=seen[n], generator=noise)
            sums = []
            for strings in (others["the other eight strings"][n], seen[n]):
                both = torch.from_numpy(np.stack([parent, genome]))
                outputs = PARITY.network(both, torch.from_numpy(np.stack([strings, strings]))).double()
                sums.append(float((outputs[0] - outputs[1]).square().sum()))
            ratios.append(sums[0] / sums[1])
        assert found[n] == pytest.approx(np.median(ratios), rel=0.01)


def test_solutions_still_solve():
    found = solutions(held_out.FIGURE_1, PARITY, RESULTS, 7, seed=1)
    assert found.shape == (7, PARITY.network.num_params)
    assert PARITY.evaluate(found).solved.all()
    assert len({genome.tobytes() for genome in found}) == 7


def test_it_runs_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "CHILDREN", 2)
    few = [OPERATORS[0], OPERATORS[5], OPERATORS[7]]
    monkeypatch.setattr(held_out, "OPERATORS", few)
    results = tmp_path / "results"
    for figure in ("figure-1", "figure-3"):
        (results / figure).mkdir(parents=True)
        for file in (RESULTS / figure).glob("*.npz"):
            (results / figure / file.name).symlink_to(file)
    command = ["beyond-held-out", "--runs", "3", "--results", str(results)]
    assert reproduce.main(command) == 0
    data = results / "beyond" / "held-out" / "ratios.json"
    content = json.loads(data.read_text())
    assert content["command"] == "python examples/reproduce.py beyond-held-out --seed 1 --runs 3"
    rows = content["ratios"]["breadcrumb-hard-maze"]["solutions"]["other moments"]
    assert set(rows) == {one.name for one in few}
    assert all(len(row) == 3 for row in rows.values())
    assert data.with_suffix(".png").exists()
    page = (results / "beyond" / "README.md").read_text()
    assert "| SM-G-SO | 1 |" in page
    before = data.read_bytes()
    assert reproduce.main(command) == 0
    assert data.read_bytes() == before


def test_the_table_marks_what_differs_from_sm_r():
    chance = np.random.default_rng(0)
    plain = chance.uniform(1, 2, 30)
    rows = {one.name: (plain * chance.uniform(0.99, 1.01, 30)).tolist() for one in OPERATORS}
    rows[held_out.PLAIN] = plain.tolist()
    rows["SM-G-SO-1-0.03"] = (0.5 * plain).tolist()
    rows["SM-G-ABS-1-0.03"][3] = float("nan")  # no child of that parent diverges so far
    text = held_out.table({"recurrent-parity": {"solutions": {"others": rows}}})
    found = {tuple(line.split(" | ")[:2]): line for line in text.splitlines()}
    assert found["| SM-G-SO", "1"].endswith(f"{0.5 * np.median(plain):.2f}* |")
    assert text.count("*") == 1
