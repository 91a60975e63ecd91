"""SM-G-SUM at the default's divergence, with and without a floor: the operator, and the study of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import reproduce
from beyond.study import draw_success
from beyond.sums import SUMS, FreeSum
from records_of_studies import beside_the_default
from safe_mutation import SMGSum
from test_race import write
from uneven import Uneven, noise_behind


def test_small_sensitivities_count_and_weights_without_effect_go_as_far_as_a_typical_one():
    op = FreeSum(Uneven(without=2), divergence=1e-6, least=0.001, tolerance=0.01)
    np.testing.assert_allclose(*noise_behind(op, 0.001), rtol=1e-3)


@pytest.mark.parametrize("mask", [None, torch.tensor([False] * 5 + [True] * 2)])
def test_a_parent_without_any_effect_gets_the_usual_rule(mask):
    x = torch.zeros(3, 7).double()
    parent = Uneven(without=2)
    with pytest.warns(match="diverge"):
        children = [
            kind(parent, divergence=0.03, mask=mask)(op_parent(parent), experiences=x, generator=1)
            for kind in (FreeSum, SMGSum)
        ]
    assert torch.equal(*children)


def op_parent(module: nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach()


def test_searches_differ_from_the_default_in_the_operator_alone(tmp_path):
    request = reproduce.Request(1, (), tmp_path / "results", tmp_path / "work", 20, 100_000)
    jobs = SUMS.jobs(request)
    assert len({job.result for job in jobs}) == 12
    records = beside_the_default(jobs, request)
    assert len(records) == 6
    for own, plain in records:
        assert own["operator"].pop("class") in ("SMGSum", "FreeSum", "BoldMutation")
        own["operator"] = {
            k: v for k, v in own["operator"].items() if k not in ("least", "damping", "shortest")
        }
        plain["operator"] = {k: v for k, v in plain["operator"].items() if k in own["operator"]}
        assert own == plain


def test_a_small_study_runs_from_the_command_line(tmp_path):
    folders = ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    for share in ("2/12", "5/12", "8/12"):  # one of the three in all domains but the slowest
        small = ["--share", share, "--runs", "1", "--max-evaluations", "253"]
        assert reproduce.main(["beyond-sums", *small, *folders]) == 0
    folder = tmp_path / "results" / "beyond"
    assert (folder / "sums" / "sums.png").exists()
    page = (folder / "README.md").read_text()
    assert page.count("| SM-G-SUM, 0.03, raised to 0.01 | 0/1 | never |") == 3


def test_runs_cut_short_and_whole_ones_are_compared_within_the_same_budget(tmp_path, monkeypatch):
    budgets = []

    def draw(ax, evaluations, budget, **style):
        budgets.append(budget)
        draw_success(ax, evaluations, budget, **style)

    monkeypatch.setattr("beyond.against_fixed.draw_success", draw)
    whole = tmp_path / "figure-8" / "SM-G-SUM.json"
    write(whole, [9000, 24_000, None], record={"max_evaluations": 50_000})
    short = tmp_path / "beyond" / "sums" / "first-person-maze" / "BoldMutation.2-3.json"
    write(short, [14_000, None], record={"first": 2, "max_evaluations": 16_000})  # a later part, the only one
    text = SUMS.tables(tmp_path)["sums in first-person-maze"]
    assert "| SM-G-SUM of the paper | 1/3 | never |" in text
    assert "| BoldMutation | 1/2 | " in text
    SUMS.draw(tmp_path)
    assert budgets == [16_000, 16_000]

    fixed = tmp_path / "beyond" / "finalists" / "first-person-maze" / "SM-G-SO-1-0.03.json"
    write(fixed, [10_000, None], record={"max_evaluations": 12_000})
    text = SUMS.tables(tmp_path)["sums in first-person-maze"]
    assert "| BoldMutation | 0/2 | never |" in text
    assert "| fixed, 0.03 | 1/2 | " in text
