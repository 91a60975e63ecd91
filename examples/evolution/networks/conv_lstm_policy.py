"""Decisions of N networks that each see one picture at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from evolution.device import on_host
from evolution.networks.film import Film
from evolution.networks.lstm_head import HIDDEN, OUTPUTS, WEIGHTS, HeadPass, pack, step_all
from evolution.networks.picture_features import compute_all_features
from evolution.networks.picture_maps import CHANNELS, PICTURE, SMALL_MAPS, new_maps
from evolution.networks.picture_passes import look
from evolution.networks.tiles import aligned_zeros


class Look(Protocol):
    """What the convolutions of networks make of a picture each."""

    def __call__(self, lanes: Sequence[int], pictures: np.ndarray) -> np.ndarray:
        """Features (K, 12) that the networks of some lanes (K) find in pictures (K, 64, 64), uint8."""


class CompiledLook:
    """Convolutions on this processor.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
    """

    def __init__(self, genomes: np.ndarray, depth: int) -> None:
        self.genomes = np.ascontiguousarray(genomes)
        self._planes, self._large, self._small = new_maps(1, depth)
        self._sums = aligned_zeros(SMALL_MAPS)

    def __call__(self, lanes: Sequence[int], pictures: np.ndarray) -> np.ndarray:
        """Look at one picture after the other."""
        found = np.empty((len(lanes), CHANNELS), np.float32)
        maps = self._planes[0], self._large[0], self._small[0], self._sums
        compute_all_features(self.genomes, np.asarray(lanes, np.int64), pictures, *maps, found)
        return found


def outputs_alone(genomes: Tensor, pictures: Tensor, order: Tensor, depth: int) -> Tensor:
    """Outputs (N, I, T, 5) for whole films, without what derivatives would need: the same numbers, sooner.

    Args:
        genomes: (N, P) float32, on this processor.
        pictures: (N, I, D, 64, 64) uint8.
        order: (N, I, T).
        depth: See ``ConvLSTM``.
    """
    weights = np.ascontiguousarray(genomes.detach().numpy())
    heads = pack(weights[:, -WEIGHTS:])
    look = CompiledLook(weights, depth)
    outputs = np.empty((*order.shape, OUTPUTS), np.float32)
    for n, films in enumerate(zip(pictures.numpy(), order.numpy(), strict=True)):
        for i, (film, shown) in enumerate(zip(*films, strict=True)):
            used, steps = np.unique(shown, return_inverse=True)
            features = look([n] * len(used), film[used])
            outputs[n, i] = HeadPass(heads[n], features[steps]).outputs
    return torch.from_numpy(outputs)


class DeviceLook:
    """Convolutions where the genomes are.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
    """

    def __init__(self, genomes: Tensor, depth: int) -> None:
        self.genomes = genomes[:, :-WEIGHTS].contiguous()
        self.depth = depth

    def __call__(self, lanes: Sequence[int], pictures: np.ndarray) -> np.ndarray:
        """Look at all pictures at once."""
        there = partial(torch.as_tensor, device=self.genomes.device)
        with torch.inference_mode():
            chosen = self.genomes if len(lanes) == len(self.genomes) else self.genomes[there(lanes)]
            found: np.ndarray = look(chosen, self.depth, there(pictures)).cpu().numpy()
        return found


class ConvLSTMPolicy:
    """``ConvLSTM`` networks, one per genome, with their memories: their LSTM states, and the pictures met.

    Features depend on genome and picture only: a picture that a network has met before costs no convolution.

    Args:
        genomes: (N, P) float32; as a tensor they are convolved where they are.
        depth: See ``ConvLSTM``.
    """

    def __init__(self, genomes: np.ndarray | Tensor, depth: int) -> None:
        number = len(genomes)
        self._look: Look
        if isinstance(genomes, Tensor):
            self._look = DeviceLook(genomes, depth)
        else:
            self._look = CompiledLook(genomes, depth)
        self._head = pack(on_host(genomes[:, -WEIGHTS:]))
        self._states = np.zeros((number, 4, HIDDEN), np.float32)
        self._met: list[dict[bytes, int]] = [{} for _ in range(number)]  # pictures and their numbers
        self._features: list[list[np.ndarray]] = [[] for _ in range(number)]  # of the pictures by number
        self._order: list[np.ndarray] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Map one picture of each network (N, 64, 64), uint8, to outputs (N, 5), float32."""
        numbers = [
            met.setdefault(picture.tobytes(), len(met))
            for met, picture in zip(self._met, pictures, strict=True)
        ]
        new = [n for n, number in enumerate(numbers) if number == len(self._features[n])]
        if new:
            for n, features in zip(new, self._look(new, pictures[new]), strict=True):
                self._features[n].append(features)
        features = np.stack([known[number] for known, number in zip(self._features, numbers, strict=True)])
        outputs = np.empty((len(pictures), OUTPUTS), np.float32)
        step_all(self._head, features, self._states, outputs)
        self._order.append(np.array(numbers))
        return outputs

    def film(self, n: int, steps: int) -> Film:
        """What network n has seen in its first steps."""
        order = np.array([numbers[n] for numbers in self._order[:steps]])
        seen = b"".join(list(self._met[n])[: order.max() + 1])
        return {"pictures": np.frombuffer(seen, np.uint8).reshape(-1, PICTURE, PICTURE), "order": order}
