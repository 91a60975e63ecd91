"""Which way pictures go where genomes are tensors: through fused kernels, or layer by layer."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from evolution.networks.device_pictures import DevicePicturePass
from evolution.networks.picture_maps import CHANNELS, PICTURE, count_weights

TOLERANCE = 1e-4  # of the largest number; single precision is far below, a wrong kernel far above


def picture_pass(genomes: Tensor, depth: int, pictures: Tensor) -> Any:
    """The looks of genomes (N, P) at pictures (N, D, 64, 64), see ``DevicePicturePass``, the fastest way."""
    fused = _fused_pass(genomes.device) if genomes.is_cuda else None
    return (fused or DevicePicturePass)(genomes, depth, pictures)


def look(genomes: Tensor, depth: int, pictures: Tensor) -> Tensor:
    """Features (N, 12) of one picture (N, 64, 64) for each of N genomes."""
    features: Tensor = picture_pass(genomes, depth, pictures[:, None]).features
    return features[:, 0]


@lru_cache
def _fused_pass(device: torch.device) -> Any:
    """The pass by fused kernels if these can be had there, and give what torch gives for a small example."""
    if find_spec("triton") is None:  # it comes with torch for GPUs alone
        return None
    try:
        from evolution.networks.fused_pictures import FusedPicturePass

        wrong = largest_difference(FusedPicturePass, device)
    except Exception as error:
        reason = f"they cannot be used here ({type(error).__name__}: {str(error).strip()[:200]})"
    else:
        if wrong < TOLERANCE:
            return FusedPicturePass
        reason = f"they are wrong here by {wrong:.2g} of the largest number"
    warnings.warn(
        f"pictures go through torch layer by layer, not through fused kernels: {reason}", stacklevel=2
    )
    return None


def largest_difference(kind: Any, device: torch.device, depth: int = 2) -> float:
    """How far features and derivatives by another pass are from torch's, as a part of the largest number."""
    noise = torch.Generator().manual_seed(0)
    genomes, direction = (
        torch.randn(2, count_weights(depth), generator=noise).mul(0.2).to(device) for _ in range(2)
    )
    pictures = torch.randint(256, (2, 3, PICTURE, PICTURE), generator=noise, dtype=torch.uint8).to(device)
    cotangents = torch.randn(2, 3, CHANNELS, generator=noise).to(device)
    found = []
    for one in (kind(genomes, depth, pictures), DevicePicturePass(genomes, depth, pictures)):
        found.append((one.features, one.tangents(direction), one.gradients(cotangents)))
    differences = [(ours - exact).abs().max() / exact.abs().max() for ours, exact in zip(*found, strict=True)]
    return float(torch.stack(differences).max())
