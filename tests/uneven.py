"""A network of weights of very different sensitivities, some of none, and the noise behind a child of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from safe_mutation import SMG, SMGSum


class Uneven(nn.Module):
    """Outputs that depend on weight n of five with a sensitivity of 10^-n, and on some more not at all."""

    def __init__(self, without: int = 0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, 5 + without, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 10.0 ** -torch.arange(5)
        return (x * (self.w * torch.cat([scale, torch.zeros(len(self.w) - 5)])))[..., :5]


def noise_behind(op: SMG, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions (7,) of a child's noise, which it has if the operator has the rule, and should have.

    The rule: sqrt( s^2 + damping^2 mean s^2 ), with the root mean square for two weights without effect.
    """
    parent, x = op.network.flatten().double(), torch.ones(3, 7).double()
    child, info = op(parent, experiences=x, generator=1, return_info=True)
    effect = info.sensitivity.numpy()[:5]
    square = (effect**2).mean()
    noise = (child - parent).numpy() * np.sqrt(np.append(effect**2, [square, square]) + damping**2 * square)
    # The same noise by the paper's rules, by which weights without effect are divided by 1.
    plain = SMGSum(Uneven(without=2), sigma=1.0, floor=1e-30)
    moved, told = plain(parent, experiences=x, generator=1, return_info=True)
    drawn = (moved - parent).numpy() * np.append(told.sensitivity.numpy()[:5], [1, 1])
    return noise / np.linalg.norm(noise), drawn / np.linalg.norm(drawn)
