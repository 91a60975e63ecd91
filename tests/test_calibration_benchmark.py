"""The benchmark that prints the README's table of divergences runs, on its two smallest networks."""

import re
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import calibration


@pytest.fixture(autouse=True)
def two_networks(monkeypatch) -> None:
    small = {name: calibration.NETWORKS[name] for name in ("MLP 11-16-2", "GRU")}
    monkeypatch.setattr(calibration, "NETWORKS", small)


def test_every_operator_meets_the_divergence(capsys) -> None:
    with torch.random.fork_rng():
        calibration.table(children=3)
    printed = capsys.readouterr().out
    assert "36 of 36 children within 10 % of the divergence" in printed
    assert len(re.findall(r"\(\d+(?:\.5)?\)", printed)) == 12


def test_costs_are_ratios(capsys) -> None:
    with torch.random.fork_rng():
        calibration.cost(repeats=1)
    ratios = re.findall(r"([\d.]+)x", capsys.readouterr().out)
    assert len(ratios) == 22
    assert all(float(ratio) > 0 for ratio in ratios)
