"""Features of pictures and their derivatives on a GPU, by the kernels of ``fused_picture_kernels.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from evolution.networks import fused_picture_kernels as kernels
from evolution.networks.picture_maps import CHANNELS, count_weights

HOW = {"num_warps": 8, "num_stages": 1}  # more of either needs more registers than there are


class FusedPicturePass:
    """The looks of N genomes at D pictures each, kept for their derivatives.

    Args:
        genomes: (N, P) float32 on a GPU; their first weights are those of the convolutions.
        depth: Layers of 3 x 3.
        pictures: (N, D, 64, 64) uint8, there, too.

    Attributes:
        features: (N, D, 12).
    """

    def __init__(self, genomes: Tensor, depth: int, pictures: Tensor) -> None:
        self.depth = depth
        self._shape = pictures.shape[:2]
        self._genomes, self._pictures = genomes.contiguous(), pictures.contiguous()
        self._large, self._small = self._maps(torch.empty)
        self.features = genomes.new_empty(*self._shape, CHANNELS)
        self._launch(
            kernels.look,
            self._genomes,
            self._pictures,
            self._large,
            self._small,
            self.features,
            *self._sizes(),
        )

    def tangents(self, direction: Tensor) -> Tensor:
        """How the features (N, D, 12) change when the genomes move along directions (N, P)."""
        found = torch.empty_like(self.features)
        maps = self._large, self._small, *self._maps(torch.empty)
        self._launch(
            kernels.tangents,
            self._genomes,
            direction.contiguous(),
            self._pictures,
            *maps,
            found,
            *self._sizes(),
        )
        return found

    def gradients(self, cotangents: Tensor) -> Tensor:
        """The vector-Jacobian products (N, weights of the convolutions) of cotangents (N, D, 12)."""
        d_large, d_small = self._maps(torch.zeros)
        maps = self._large, self._small, d_large, d_small
        self._launch(kernels.back, self._genomes, cotangents.contiguous(), *maps, *self._sizes())
        number, distinct = self._shape
        found = self._genomes.new_empty(number, count_weights(self.depth))
        with torch.cuda.device_of(found):
            sizes = distinct, found.shape[1]
            kernels.weigh_first[(number,)](self._pictures, d_large, found, *sizes, **HOW)
            kernels.weigh_others[(number, self.depth + 3)](
                self._large, self._small, d_small, found, *sizes, self.depth, **HOW
            )
        return found

    def _maps(self, make: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        like = {"device": self._genomes.device, "dtype": torch.float32}
        rows = self._shape.numel()
        return make(rows, kernels.LARGE, **like), make(rows, self.depth + 1, kernels.SMALL, **like)

    def _sizes(self) -> tuple[int, int, int]:
        return self._shape[1], self._genomes.shape[1], self.depth

    def _launch(self, kernel: Any, *arguments: Any) -> None:
        with torch.cuda.device_of(self._genomes):
            kernel[(self._shape.numel(),)](*arguments, **HOW)
