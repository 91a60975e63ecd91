"""How far weights go that hardly matter: the least sensitivity, and the study of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reproduce
from beyond.damping import DAMPING, LessDamped
from records_of_studies import beside_the_default
from safe_mutation import SMGSO, SafeMutation
from uneven import Uneven


@pytest.mark.parametrize("least", [0.1, 0.03, 0.001])
def test_the_least_sensitivity_is_a_part_of_the_root_mean_square(least):
    op = LessDamped(Uneven(), divergence=1e-6, least=least, tolerance=0.01)
    parent = op.network.flatten().double()
    child, info = op(parent, experiences=torch.ones(3, 5).double(), generator=1, return_info=True)
    s = info.sensitivity.numpy()
    delta = (child - parent).numpy() * np.sqrt(s**2 + least**2 * (s**2).mean())
    drawn = SMGSO(Uneven(), sigma=1.0, floor=1e-30)
    v = drawn(parent, experiences=torch.ones(3, 5).double(), generator=1, return_info=True)
    noise = (v[0] - parent).numpy() * v[1].sensitivity.numpy()
    np.testing.assert_allclose(delta / np.linalg.norm(delta), noise / np.linalg.norm(noise), rtol=1e-3)


def test_the_default_is_a_tenth():
    parent = Uneven()
    experiences = torch.ones(3, 5).double()
    children = [
        kind(parent, divergence=0.03, tolerance=0.25)(
            SafeMutation(parent).network.flatten(), experiences=experiences, generator=1
        )
        for kind in (LessDamped, SMGSO)
    ]
    assert torch.equal(*children)


def test_searches_differ_from_the_default_in_nothing_else(tmp_path):
    request = reproduce.Request(1, (), tmp_path / "results", tmp_path / "work", 20, 100_000)
    jobs = DAMPING.jobs(request)
    assert len({job.result for job in jobs}) == 6
    records = beside_the_default(jobs, request)
    assert len(records) == 4
    for own, plain in records:
        assert own["operator"].pop("least") < 0.1
        assert own | {"operator": own["operator"] | {"class": "SMGSO"}} == plain


def test_a_small_study_runs_from_the_command_line(tmp_path):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    assert reproduce.main(["beyond-damping", "--runs", "1", "--max-evaluations", "253", *folders]) == 0
    folder = tmp_path / "results" / "beyond"
    assert (folder / "damping" / "damping.png").exists()
    page = (folder / "README.md").read_text()
    assert page.count("| 0.03, raised to 0.01 | 0/1 | never |") == 3
    assert "have finished" not in page
