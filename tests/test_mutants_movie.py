"""The pictures of mutants: equal step lengths, and files that show them."""

import numpy as np
import pytest
from PIL import Image

import mutants_movie
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CONTROL_SIGMA, mutants
from evolution.individual import Individual

DOMAIN = BreadcrumbHardMaze()


@pytest.fixture(scope="module")
def champion():
    genome = DOMAIN.network.initial_genomes(1, np.random.default_rng(7))
    evaluation = DOMAIN.evaluate(genome)
    return Individual(genome[0], float(evaluation.fitness[0]), False, evaluation.experiences[0][::4])


@pytest.mark.parametrize("operator", ["SM-G-ABS", "SM-G-SUM", "SM-G-SO"])
def test_both_operators_step_equally_far(champion, operator):
    lengths = {
        name: np.median(np.linalg.norm(children - champion.genome, axis=1))
        for name, children in mutants(DOMAIN, champion, seed=3, safe=operator).items()
    }
    assert lengths["control"] == pytest.approx(CONTROL_SIGMA * np.sqrt(1266), rel=0.05)
    assert lengths[operator] == pytest.approx(lengths["control"], rel=0.05)


def test_a_champion_file_becomes_an_animation_and_a_picture(champion, tmp_path, monkeypatch):
    monkeypatch.setattr(mutants_movie, "DECISIONS_PER_PICTURE", 40)  # fewer pictures, sooner done
    monkeypatch.setattr(mutants_movie, "LAST_PICTURE_HELD", 1)
    saved = tmp_path / "champion.npz"
    np.savez(
        saved,
        genome=champion.genome,
        fitness=champion.fitness,
        solved=False,
        experiences=champion.experiences,
    )
    assert mutants_movie.main([str(saved), "--output", str(tmp_path / "out" / "mutants")]) == 0
    with Image.open(tmp_path / "out" / "mutants.gif") as animation:
        assert animation.n_frames == 5
    with Image.open(tmp_path / "out" / "mutants.png") as picture:
        assert picture.size[0] > 500


def test_a_file_that_is_no_champion_is_refused(tmp_path, capsys):
    for content in (b"", b"nonsense"):
        (tmp_path / "champion.npz").write_bytes(content)
        assert mutants_movie.main([str(tmp_path / "champion.npz")]) == 2
        assert "expected a champion.npz of evolve.py" in capsys.readouterr().err
    np.savez(
        tmp_path / "other.npz", genome=np.zeros(5), fitness=0, solved=False, experiences=np.zeros((1, 11))
    )
    assert mutants_movie.main([str(tmp_path / "other.npz")]) == 2
    assert "expected a hard maze champion of shape (1266,), got (5,)" in capsys.readouterr().err
