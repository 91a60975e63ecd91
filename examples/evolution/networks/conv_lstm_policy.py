"""Decisions of N networks that each see one picture at a time."""

from __future__ import annotations

import numpy as np

from evolution.networks.film import Film
from evolution.networks.lstm_head import HIDDEN, OUTPUTS, WEIGHTS, pack, step_all
from evolution.networks.picture_features import compute_features
from evolution.networks.picture_maps import CHANNELS, PICTURE, SMALL_MAPS, new_maps


class ConvLSTMPolicy:
    """``ConvLSTM`` networks, one per genome, with their memories: their LSTM states, and the pictures met.

    Features depend on genome and picture only: a picture that a network has met before costs no convolution.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
    """

    def __init__(self, genomes: np.ndarray, depth: int) -> None:
        number = len(genomes)
        self.genomes = np.ascontiguousarray(genomes, dtype=np.float32)
        self._head = pack(self.genomes[:, -WEIGHTS:])
        self._states = np.zeros((number, 4, HIDDEN), np.float32)
        self._met: list[dict[bytes, int]] = [{} for _ in range(number)]  # pictures and their numbers
        self._features: list[list[np.ndarray]] = [[] for _ in range(number)]  # of the pictures by number
        self._order: list[np.ndarray] = []
        self._planes, self._large, self._small = new_maps(1, depth)
        self._sums = np.zeros(SMALL_MAPS, np.float32)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Map one picture of each network (N, 64, 64), uint8, to outputs (N, 5), float32."""
        numbers = [self._number(n, picture) for n, picture in enumerate(pictures)]
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

    def _number(self, n: int, picture: np.ndarray) -> int:
        """The number of a picture among those that network n has met, after a look at it if it is new."""
        met = self._met[n]
        number = met.setdefault(picture.tobytes(), len(met))
        if number == len(self._features[n]):
            features = np.empty(CHANNELS, np.float32)
            maps = self._planes[0], self._large[0], self._small[0]
            compute_features(self.genomes[n], picture, *maps, self._sums, features)
            self._features[n].append(features)
        return number
