"""Replaying the champion of a run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageSequence

import watch
from evolution.atomic_file import read_json, write_json
from evolution.domains import DOMAINS
from evolution.record import describe
from evolution.result import Search, read_champions
from gym_safemaze import window
from paper.table_s2 import experiment


def write_run(folder, domain, genome):
    record = {"domain": describe(domain) | {"network": repr(domain.network)}}
    (folder / "record.json").write_text(json.dumps(record))
    np.savez(folder / "champion.npz", genome=genome)


def founder(domain):
    return domain.network.initial_genomes(1, np.random.default_rng(5))[0]


@pytest.mark.parametrize("name", ["topdown-maze", "first-person-maze", "breadcrumb-hard-maze"])
def test_the_episode_is_that_of_the_evaluation(name, tmp_path):
    domain = DOMAINS[name]()
    genome = founder(domain)
    write_run(tmp_path, domain, genome)
    assert watch.main([str(tmp_path), "--picture", str(tmp_path / "end.png")]) == 0
    frames = list(domain.replay(genome))
    [behavior] = domain.evaluate(genome[None]).behavior
    assert len(frames) == len(behavior)
    with Image.open(tmp_path / "end.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), frames[-1])


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Three replicates of the Topdown Maze, which solve nothing."""
    folder = tmp_path_factory.mktemp("results")
    search = experiment(DOMAINS["topdown-maze"](), "SM-G-SUM", runs=3, max_evaluations=250)
    Search(search, folder / "SM-G-SUM.json", folder / "work")()
    return folder


@pytest.fixture
def result(computed, tmp_path):
    return shutil.copytree(computed, tmp_path / "results") / "SM-G-SUM.json"


def last_frame(tmp_path, *arguments):
    assert watch.main([*map(str, arguments), "--picture", str(tmp_path / "end.png")]) == 0
    with Image.open(tmp_path / "end.png") as picture:
        return np.asarray(picture)


def test_a_replicate_of_a_result_is_replayed(result, tmp_path):
    champions = read_champions(result.with_suffix(".npz"))
    *_, last = DOMAINS["topdown-maze"]().replay(champions[1].genome)
    np.testing.assert_array_equal(last_frame(tmp_path, result, "--replicate", 2), last)


@pytest.mark.parametrize(
    ("solved", "shown"), [([None, 240, 230], 2), ([None, 230, 240], 1), ([None] * 3, None)]
)
def test_of_a_result_the_first_solution_is_shown(solved, shown, result, tmp_path):
    champions = read_champions(result.with_suffix(".npz"))
    if shown is None:
        shown = int(np.argmax([champion.fitness for champion in champions]))
    content = read_json(result)
    for run, at in zip(content["runs"], solved, strict=True):
        run["solved_at"] = at
    write_json(result, content)
    *_, last = DOMAINS["topdown-maze"]().replay(champions[shown].genome)
    np.testing.assert_array_equal(last_frame(tmp_path, result), last)


def test_a_result_in_parts_is_one(computed, tmp_path):
    later = replace(experiment(DOMAINS["topdown-maze"](), "SM-G-SUM", runs=2, max_evaluations=250), first=3)
    result = shutil.copytree(computed, tmp_path / "results") / "SM-G-SUM.json"
    part = result.with_name("SM-G-SUM.3-4.json")
    Search(later, part, tmp_path / "work")()
    last = [
        list(DOMAINS["topdown-maze"]().replay(champion.genome))[-1]
        for champion in read_champions(part.with_suffix(".npz"))
    ]
    np.testing.assert_array_equal(last_frame(tmp_path, result, "--replicate", 5), last[1])
    content = read_json(part)
    content["runs"][0]["solved_at"] = 240
    write_json(part, content)
    np.testing.assert_array_equal(last_frame(tmp_path, result), last[0])


def test_says_what_is_wrong_with_a_result(result, tmp_path, capsys):
    write_run(tmp_path, DOMAINS["topdown-maze"](), founder(DOMAINS["topdown-maze"]()))
    champions = result.with_suffix(".npz")
    for arguments, message in (
        ([result, "--replicate", 4], "expected a replicate from 1 to 3, got 4"),
        ([result, "--replicate", 0], "expected a replicate from 1 to 3, got 0"),
        ([tmp_path, "--replicate", 1], "expected a result of reproduce.py with --replicate, got"),
        ([tmp_path / "none.json"], "none.json"),
    ):
        assert watch.main([str(each) for each in arguments]) == 2
        assert message in capsys.readouterr().err
    champions.write_bytes(champions.read_bytes()[:-100])
    assert watch.main([str(result)]) == 2
    assert str(champions) in capsys.readouterr().err
    champions.unlink()
    assert watch.main([str(result)]) == 2
    assert str(champions) in capsys.readouterr().err
    result.write_text("[]")
    assert watch.main([str(result)]) == 2
    assert "expected the record of a run in" in capsys.readouterr().err


def test_the_animation_shows_every_step(tmp_path):
    domain = DOMAINS["topdown-maze"]()
    write_run(tmp_path, domain, founder(domain))
    assert watch.main([str(tmp_path), "--gif", str(tmp_path / "episode.gif")]) == 0
    with Image.open(tmp_path / "episode.gif") as animation:
        shown = [picture.info["duration"] for picture in ImageSequence.Iterator(animation)]
    assert sum(shown) == 40 * 100 + 1500  # equal pictures are one that stays longer


def test_what_the_network_sees_stands_beside_where_it_is():
    domain = DOMAINS["topdown-maze"]()
    first = next(domain.replay(founder(domain)))
    [film] = domain.evaluate(founder(domain)[None]).experiences
    seen = film["pictures"][0, 0]
    zoom = 6
    enlarged = seen.repeat(zoom, axis=0).repeat(zoom, axis=1)
    top = (len(first) - len(enlarged)) // 2
    np.testing.assert_array_equal(first[top : top + len(enlarged), 12 : 12 + len(enlarged), 0], enlarged)


def test_without_a_file_the_episode_is_shown_in_a_window(tmp_path, monkeypatch):
    domain = DOMAINS["topdown-maze"]()
    write_run(tmp_path, domain, founder(domain))
    shown = []
    monkeypatch.setattr(window.Window, "show", lambda self, picture, fps: shown.append(picture))
    assert watch.main([str(tmp_path)]) == 0
    assert len(shown) == 41


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "record.json").unlink(), "record.json"),
        (lambda folder: (folder / "record.json").write_text("{}"), "expected the record of a run in"),
        (lambda folder: (folder / "record.json").write_text("\x00 no"), "expected the record of a run in"),
        (lambda folder: (folder / "champion.npz").unlink(), "champion.npz"),
        (lambda folder: (folder / "champion.npz").write_bytes(b"PK no"), "expected the champion of a run in"),
        (
            lambda folder: np.savez(folder / "champion.npz", weights=np.zeros(3)),
            "expected the champion of a run in",
        ),
        (
            lambda folder: np.savez(folder / "champion.npz", genome=np.zeros(20_573, np.float32)),
            r"expected a champion of CompiledConvLSTM(depth=12), 25,805 weights, got one of "
            r"CompiledConvLSTM(depth=12), genome of shape (20573,)",
        ),
        (
            lambda folder: write_run(folder, DOMAINS["recurrent-parity"](), np.zeros(1342, np.float32)),
            "expected a domain with a place to look at, got recurrent-parity",
        ),
    ],
)
def test_says_what_is_wrong_with_a_run(spoil, message, tmp_path, capsys):
    domain = DOMAINS["topdown-maze"]()
    write_run(tmp_path, domain, founder(domain))
    spoil(tmp_path)
    assert watch.main([str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_record_of_another_domain_is_named(tmp_path, capsys):
    write_json(
        tmp_path / "control.json", {"record": {"domain": {"class": "HardMazeWith", "network": "small"}}}
    )
    assert watch.main([str(tmp_path / "control.json")]) == 2
    assert "expected a run of RecurrentParity, " in (said := capsys.readouterr().err)
    assert said.endswith("got one of HardMazeWith\n")


def test_names_both_networks_where_the_record_is_of_another(tmp_path, capsys):
    domain = DOMAINS["topdown-maze"]()
    write_run(tmp_path, domain, founder(domain))
    record = json.loads((tmp_path / "record.json").read_text())
    record["domain"]["network"] = "CompiledConvLSTM(depth=8)"
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert watch.main([str(tmp_path)]) == 2
    assert "expected a champion of CompiledConvLSTM(depth=12)" in (error := capsys.readouterr().err)
    assert "got one of CompiledConvLSTM(depth=8)" in error
