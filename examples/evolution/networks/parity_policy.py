"""What N parity networks make of bit strings, compiled.

The network of ``ParityNetwork``, one genome after the other; the strings share vector instructions. All sums
are in a fixed order and the logarithm is taken here, so that a fitness depends on the genome alone: neither
on the processor nor on how many genomes are evaluated together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evolution.networks.activations import ZERO, tanh
from evolution.networks.layout import decidable
from gym_safemaze.jit import kernel

HIDDEN = 20
STRINGS = 16  # all strings of four bits; loops of a length that the compiler knows become vector instructions

# Where the weights lie in a genome, those of the first cell's one input first.
BIAS1 = HIDDEN + HIDDEN * HIDDEN
INPUT2 = BIAS1 + 2 * HIDDEN
BIAS2 = INPUT2 + 2 * HIDDEN * HIDDEN
READOUT = BIAS2 + 2 * HIDDEN


def classify(
    genomes: np.ndarray, bits: np.ndarray, labels: np.ndarray, outputs: int
) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each string's own label, and its logarithm.

    Args:
        genomes: (N, P), float32.
        bits: The strings (16, T), float32.
        labels: The class of each (16,), 0 or 1.
        outputs: Of the network, 2 (a softmax) or 1 (a sigmoid, the probability of class 1).

    Returns:
        Probabilities (N, 16) and log-likelihoods (N, 16), float64.

    Raises:
        ValueError: If the genomes are those of another network.
    """
    genomes = decidable(genomes, READOUT + outputs * (HIDDEN + 1))
    margins = np.empty((len(genomes), STRINGS), np.float32)
    likelihoods, probabilities = np.empty(margins.shape), np.empty(margins.shape)
    signs = np.where(labels == 1, np.float32(1), np.float32(-1))
    _weigh_up(genomes, bits.T.copy(), outputs, margins)
    _judge(margins, signs, probabilities, likelihoods)
    return probabilities, likelihoods


@kernel
def _weigh_up(genomes: Any, bits: Any, outputs: int, margins: Any) -> None:
    """Write by how much each string (T, 16) speaks for class 1 rather than 0 (N, 16)."""
    hidden1 = np.empty(HIDDEN * STRINGS, np.float32)
    hidden2, sums = np.empty_like(hidden1), np.empty_like(hidden1)
    for n in range(len(genomes)):
        w = genomes[n]
        for i in range(HIDDEN * STRINGS):
            hidden1[i], hidden2[i] = ZERO, ZERO
        for step in range(len(bits)):
            _add_biases(w[BIAS1:], sums)
            _add_bits(w, bits[step], sums)
            _add_products(w[HIDDEN:], hidden1, sums)
            for i in range(HIDDEN * STRINGS):
                hidden1[i] = tanh(sums[i])
            _add_biases(w[BIAS2:], sums)
            _add_products(w[INPUT2:], hidden1, sums)
            _add_products(w[INPUT2 + HIDDEN * HIDDEN :], hidden2, sums)
            for i in range(HIDDEN * STRINGS):
                hidden2[i] = tanh(sums[i])
        v, bias = w[READOUT:], w[READOUT + outputs * HIDDEN :]
        for s in range(STRINGS):
            one, other = bias[outputs - 1], bias[0] if outputs == 2 else ZERO
            for j in range(HIDDEN):
                one += v[(outputs - 1) * HIDDEN + j] * hidden2[j * STRINGS + s]
                if outputs == 2:
                    other += v[j] * hidden2[j * STRINGS + s]
            margins[n, s] = one - other


@kernel
def _add_biases(biases: Any, sums: Any) -> None:
    """Start the sums (20 * 16,) of a layer with both of its bias vectors."""
    for unit in range(HIDDEN):
        for s in range(STRINGS):
            sums[unit * STRINGS + s] = biases[unit] + biases[HIDDEN + unit]


@kernel
def _add_bits(weights: Any, bits: Any, sums: Any) -> None:
    """Add to the sums (20 * 16,) the product of the weights (20,) and one bit of each string (16,)."""
    for unit in range(HIDDEN):
        for s in range(STRINGS):
            sums[unit * STRINGS + s] += weights[unit] * bits[s]


@kernel
def _add_products(weights: Any, values: Any, sums: Any) -> None:
    """Add to the sums (20 * 16,) the product of the weights (20, 20) and values (20 * 16,)."""
    for unit in range(HIDDEN):
        total = sums[unit * STRINGS : (unit + 1) * STRINGS]
        for j in range(0, HIDDEN, 5):
            w, v = weights[unit * HIDDEN + j :], values[j * STRINGS : (j + 5) * STRINGS]
            w0, w1, w2, w3, w4 = w[0], w[1], w[2], w[3], w[4]
            for s in range(STRINGS):
                total[s] += (  # all in one expression, which stays in registers
                    w0 * v[s]
                    + w1 * v[s + STRINGS]
                    + w2 * v[s + 2 * STRINGS]
                    + w3 * v[s + 3 * STRINGS]
                    + w4 * v[s + 4 * STRINGS]
                )


@kernel
def _judge(margins: Any, signs: Any, probabilities: Any, likelihoods: Any) -> None:
    """Write the probabilities and log-likelihoods of the right labels, whose signs are 1 or -1."""
    for n in range(margins.shape[0]):
        for s in range(margins.shape[1]):
            margin = np.float64(margins[n, s] * signs[s])
            e = _exp(-abs(margin))
            probabilities[n, s] = (1.0 if margin >= 0 else e) / (1.0 + e)
            likelihoods[n, s] = (0.0 if margin >= 0 else margin) - _log1p(e)


@kernel
def _exp(value: Any) -> Any:
    """The exponential of a float64 of at most 0: a polynomial of a 1024th, squared ten times."""
    r = (-746.0 if value < -746.0 else value) / 1024.0  # exp is 0 from there on
    e = 1.0
    for k in range(9, 0, -1):
        e = 1.0 + e * r / k
    for _ in range(10):
        e = e * e
    return e


@kernel
def _log1p(value: Any) -> Any:
    """The logarithm of 1 + value, a float64 from 0 to 1, twice the area tangent of value / (2 + value)."""
    s = value / (2.0 + value)
    total = 0.0
    for k in range(33, 0, -2):
        total = total * s * s + 1.0 / k
    return 2.0 * s * total
