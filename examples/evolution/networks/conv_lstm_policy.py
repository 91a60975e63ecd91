"""Decisions of N networks that each see one picture at a time."""

from __future__ import annotations

import numpy as np

from evolution.networks.lstm_head import HIDDEN, OUTPUTS, WEIGHTS, pack, step_all
from evolution.networks.picture_features import CHANNELS, SMALL_MAPS, compute_features, new_maps


class ConvLSTMPolicy:
    """``ConvLSTM`` networks, one per genome, with their memories: their LSTM states, and the pictures met.

    Features depend on genome and picture only, and mazes look alike in many places: a picture that a
    network has met before costs no convolution.

    Args:
        genomes: (N, P) float32.
        depth: See ``ConvLSTM``.
    """

    def __init__(self, genomes: np.ndarray, depth: int) -> None:
        number = len(genomes)
        self.genomes = np.ascontiguousarray(genomes, dtype=np.float32)
        self.head = pack(self.genomes[:, -WEIGHTS:])
        self.states = np.zeros((number, 4, HIDDEN), np.float32)
        self.met: list[dict[bytes, np.ndarray]] = [{} for _ in range(number)]
        self._features = np.empty((number, CHANNELS), np.float32)
        self._planes, self._large, self._small = new_maps(1, depth)
        self._sums = np.zeros(SMALL_MAPS, np.float32)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Map one picture of each network (N, 64, 64), uint8, to outputs (N, 5), float32."""
        for n, (picture, met) in enumerate(zip(pictures, self.met, strict=True)):
            name = picture.tobytes()
            if name not in met:
                met[name] = self._look(self.genomes[n], picture)
            self._features[n] = met[name]
        outputs = np.empty((len(pictures), OUTPUTS), np.float32)
        step_all(self.head, self._features, self.states, outputs)
        return outputs

    def _look(self, genome: np.ndarray, picture: np.ndarray) -> np.ndarray:
        features = np.empty(CHANNELS, np.float32)
        maps = self._planes[0], self._large[0], self._small[0]
        compute_features(genome, picture, *maps, self._sums, features)
        return features
