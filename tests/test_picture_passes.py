"""Which way pictures go on a device: fused kernels are used where they are there and right."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from evolution.networks import picture_passes
from evolution.networks.device_pictures import DevicePicturePass
from evolution.networks.picture_passes import TOLERANCE, largest_difference

CPU = torch.device("cpu")
INTERPRETED = """
import torch
from evolution.networks.fused_pictures import FusedPicturePass
from evolution.networks.picture_passes import largest_difference

print(max(largest_difference(FusedPicturePass, torch.device("cpu"), depth) for depth in (0, 2)))
"""


class SlightlyWrong(DevicePicturePass):
    def __init__(self, genomes, depth, pictures):
        super().__init__(genomes, depth, pictures)
        self.features = self.features.clone()
        self.features[0, 0, 0] += 0.01 * self.features.abs().max()


class NotANumber(DevicePicturePass):
    def tangents(self, direction):
        found = super().tangents(direction)
        found[0, 0, 0] = torch.nan
        return found


def broken(*unused):
    raise RuntimeError("no such instruction")


def chosen(kind, monkeypatch):
    """Whether a kind of pass is trusted in place of the fused kernels."""
    fused = SimpleNamespace(FusedPicturePass=kind)
    monkeypatch.setitem(sys.modules, "evolution.networks.fused_pictures", fused)
    monkeypatch.setattr(picture_passes, "find_spec", lambda name: "triton")
    return picture_passes._fused_pass.__wrapped__(CPU)


def test_a_pass_that_is_right_is_used(monkeypatch):
    assert chosen(DevicePicturePass, monkeypatch)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (SlightlyWrong, "wrong here by 0.0"),
        (NotANumber, "wrong here by nan"),
        (broken, r"cannot be used here \(RuntimeError: no such instruction\)"),
    ],
)
def test_a_pass_that_is_wrong_or_fails_is_not_used_and_why_is_said(kind, reason, monkeypatch):
    with pytest.warns(UserWarning, match=f"layer by layer.*{reason}"):
        assert not chosen(kind, monkeypatch)


def test_without_triton_torch_does_it_and_nothing_is_said(monkeypatch):
    monkeypatch.setattr(picture_passes, "find_spec", lambda name: None)
    assert not picture_passes._fused_pass.__wrapped__(CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("depth", [0, 2, 8, 12])
def test_fused_kernels_are_right_on_a_gpu(depth):
    from evolution.networks.fused_pictures import FusedPicturePass

    assert largest_difference(FusedPicturePass, torch.device("cuda"), depth) < TOLERANCE / 10


def test_fused_kernels_are_right_as_the_interpreter_reads_them():
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-6
