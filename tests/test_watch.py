"""Replaying the champion of a run."""

import json

import numpy as np
import pytest
from PIL import Image, ImageSequence

import watch
from evolution.domains import DOMAINS
from evolution.record import describe
from gym_safemaze import window


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


def test_names_both_networks_where_the_record_is_of_another(tmp_path, capsys):
    domain = DOMAINS["topdown-maze"]()
    write_run(tmp_path, domain, founder(domain))
    record = json.loads((tmp_path / "record.json").read_text())
    record["domain"]["network"] = "CompiledConvLSTM(depth=8)"
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert watch.main([str(tmp_path)]) == 2
    assert "expected a champion of CompiledConvLSTM(depth=12)" in (error := capsys.readouterr().err)
    assert "got one of CompiledConvLSTM(depth=8)" in error
