"""Two stacked LSTM layers and a sigmoid readout, compiled: what ``ConvLSTM`` makes of a sequence of features.

Inside, the weights of a layer are one matrix (inputs + 20 + 1, 80) that multiplies the row [inputs, hidden
state, 1], so that every loop over its 80 gates becomes vector instructions; torch's two bias vectors are
added up. ``pack`` brings genomes into that order; it is linear, so that it serves directions, too. Gates
come in torch's order: input, forget, cell, output.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from evolution.networks.activations import ONE, ZERO, sigmoid, tanh
from evolution.networks.derivative_kernel import derivative_kernel
from gym_safemaze.jit import kernel

INPUTS = 12
HIDDEN = 20
OUTPUTS = 5
GATES = 4 * HIDDEN
SIZES = (INPUTS, HIDDEN)  # what each of the two layers reads
ROWS = tuple(size + HIDDEN + 1 for size in SIZES)
SECOND = ROWS[0] * GATES  # where the matrix of the second layer starts
READOUT = SECOND + ROWS[1] * GATES
PACKED = READOUT + (HIDDEN + 1) * OUTPUTS
WEIGHTS = sum(GATES * (size + HIDDEN + 2) for size in SIZES) + (HIDDEN + 1) * OUTPUTS


@lru_cache(maxsize=1)
def _places() -> np.ndarray:
    """Where in the packed order each weight of a genome goes (WEIGHTS,)."""
    places, start = [], 0
    for size, rows in zip(SIZES, ROWS, strict=True):
        matrix = start + np.arange(rows * GATES).reshape(rows, GATES)
        places += [matrix[:size].T, matrix[size:-1].T, matrix[-1], matrix[-1]]
        start += rows * GATES
    readout = start + np.arange((HIDDEN + 1) * OUTPUTS).reshape(HIDDEN + 1, OUTPUTS)
    places += [readout[:-1].T, readout[-1]]
    return np.concatenate([place.ravel() for place in places])


@lru_cache(maxsize=1)
def _sources() -> tuple[np.ndarray, np.ndarray]:
    """Which weight of a genome goes to each place (PACKED,), and which are the other biases (2 * GATES,)."""
    _, first = np.unique(_places(), return_index=True)
    return first, np.setdiff1d(np.arange(WEIGHTS), first)


def pack(weights: np.ndarray) -> np.ndarray:
    """Bring weights (N, WEIGHTS) of genomes into the order (N, PACKED) of the kernels."""
    first, second = _sources()
    packed = weights[:, first]
    packed[:, _places()[second]] += weights[:, second]
    return packed


class HeadPass:
    """One network's way through a sequence of features (T, 12), kept for its derivatives.

    Args:
        packed: Packed weights (PACKED,).
        features: Features (T, 12), float32.

    Attributes:
        outputs: Outputs (T, 5).
    """

    def __init__(self, packed: np.ndarray, features: np.ndarray) -> None:
        steps = len(features)
        self.packed = packed
        self.features = features
        self.gates = np.empty((2, steps, GATES), np.float32)
        self.states = np.zeros((steps + 1, 4, HIDDEN), np.float32)  # hidden and cell state of both layers
        self.outputs = np.empty((steps, OUTPUTS), np.float32)
        _forward(packed, features, self.gates, self.states, self.outputs)

    def tangents(self, direction: np.ndarray, feature_changes: np.ndarray) -> np.ndarray:
        """Changes of the outputs (T, 5) for a packed direction and changes of the features (T, 12)."""
        found = np.empty_like(self.outputs)
        _tangents(
            self.packed,
            direction,
            self.features,
            feature_changes,
            self.gates,
            self.states,
            self.outputs,
            found,
        )
        return found

    def gradients(self, cotangents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For cotangents (T, 5) of the outputs, the gradient (WEIGHTS,) and that of the features (T, 12)."""
        sums = cotangents * self.outputs * (ONE - self.outputs)
        of_features = np.empty_like(self.features)
        of_gates = np.empty_like(self.gates)
        _backward(self.packed, sums, self.gates, self.states, of_gates, of_features)
        hidden1, hidden2 = self.states[:, 0], self.states[:, 2]
        ones = np.ones((len(sums), 1), np.float32)
        rows = (
            np.concatenate([self.features, hidden1[:-1], ones], axis=1),
            np.concatenate([hidden1[1:], hidden2[:-1], ones], axis=1),
            np.concatenate([hidden2[1:], ones], axis=1),
        )
        matrices = [row.T @ change for row, change in zip(rows, (*of_gates, sums), strict=True)]
        return np.concatenate([matrix.ravel() for matrix in matrices])[_places()], of_features


@kernel
def _add_rows(weights: Any, values: Any, z: Any) -> None:
    """Add to z (GATES,) the product of values (J,) and the matrix (J, GATES) that starts at weights."""
    for j in range(len(values)):
        w, value = weights[j * GATES :], values[j]
        for r in range(GATES):
            z[r] += w[r] * value


@kernel
def _cell(weights: Any, inputs: Any, state: Any, gates: Any, after: Any) -> None:
    """One step of one layer: state and after (2, HIDDEN), hidden and cell; gates (GATES,) are kept."""
    size = len(inputs)
    bias = weights[(size + HIDDEN) * GATES :]
    for r in range(GATES):
        gates[r] = bias[r]
    _add_rows(weights, inputs, gates)
    _add_rows(weights[size * GATES :], state[0], gates)
    for r in range(2 * HIDDEN):
        gates[r] = sigmoid(gates[r])
    for r in range(HIDDEN):
        gates[2 * HIDDEN + r] = tanh(gates[2 * HIDDEN + r])
        gates[3 * HIDDEN + r] = sigmoid(gates[3 * HIDDEN + r])
    for r in range(HIDDEN):
        after[1, r] = gates[HIDDEN + r] * state[1, r] + gates[r] * gates[2 * HIDDEN + r]
        after[0, r] = gates[3 * HIDDEN + r] * tanh(after[1, r])


@kernel
def _step(packed: Any, features: Any, state: Any, gates1: Any, gates2: Any, after: Any, outputs: Any) -> None:
    """One step of both layers and the readout; state and after (4, HIDDEN)."""
    _cell(packed, features, state[:2], gates1, after[:2])
    _cell(packed[SECOND:], after[0], state[2:], gates2, after[2:])
    w = packed[READOUT:]
    for k in range(OUTPUTS):
        total = w[HIDDEN * OUTPUTS + k]
        for j in range(HIDDEN):
            total += w[j * OUTPUTS + k] * after[2, j]
        outputs[k] = sigmoid(total)


@kernel
def _forward(packed: Any, features: Any, gates: Any, states: Any, outputs: Any) -> None:
    for t in range(len(features)):
        _step(packed, features[t], states[t], gates[0, t], gates[1, t], states[t + 1], outputs[t])


@kernel
def step_all(packed: Any, features: Any, states: Any, outputs: Any) -> None:
    """One step of N networks: packed (N, PACKED), features (N, 12), states (N, 4, HIDDEN), outputs (N, 5)."""
    gates = np.empty((2, GATES), np.float32)
    after = np.empty((4, HIDDEN), np.float32)
    for n in range(len(packed)):
        _step(packed[n], features[n], states[n], gates[0], gates[1], after, outputs[n])
        for a in range(4):
            for r in range(HIDDEN):
                states[n, a, r] = after[a, r]


@kernel
def _backward(packed: Any, sums: Any, gates: Any, states: Any, of_gates: Any, of_features: Any) -> None:
    """Back-propagation through time of the cotangents (T, 5) of the readout's sums.

    Writes those of the gates before their activation (2, T, GATES) and of the features (T, 12).
    """
    hidden = np.zeros((2, HIDDEN), np.float32)
    cell = np.zeros((2, HIDDEN), np.float32)
    readout = packed[READOUT:]
    for t in range(len(sums) - 1, -1, -1):
        for j in range(HIDDEN):
            for k in range(OUTPUTS):
                hidden[1, j] += readout[j * OUTPUTS + k] * sums[t, k]
        _cell_backward(packed[SECOND:], states[t, 3], states[t + 1, 3], gates[1, t], hidden[1], cell[1],
                       of_gates[1, t], hidden[0], True)  # fmt: skip
        _cell_backward(packed, states[t, 1], states[t + 1, 1], gates[0, t], hidden[0], cell[0],
                       of_gates[0, t], of_features[t], False)  # fmt: skip


@kernel
def _cell_backward(
    weights: Any, cell_before: Any, cell_after: Any, gates: Any, hidden: Any, cell: Any, of_gates: Any,
    of_inputs: Any, add: bool,
) -> None:  # fmt: skip
    """One layer, one step back: hidden and cell (HIDDEN,) go from after the step to before it.

    The cotangents of the inputs are added to what they are already, or written.
    """
    for r in range(HIDDEN):
        i, f, u, o = gates[r], gates[HIDDEN + r], gates[2 * HIDDEN + r], gates[3 * HIDDEN + r]
        squashed = tanh(cell_after[r])
        change = cell[r] + hidden[r] * o * (ONE - squashed * squashed)
        of_gates[r] = change * u * i * (ONE - i)
        of_gates[HIDDEN + r] = change * cell_before[r] * f * (ONE - f)
        of_gates[2 * HIDDEN + r] = change * i * (ONE - u * u)
        of_gates[3 * HIDDEN + r] = hidden[r] * squashed * o * (ONE - o)
        cell[r] = change * f
    size = len(of_inputs)
    for j in range(size):
        total = of_inputs[j] if add else ZERO
        of_inputs[j] = total + _inner(weights[j * GATES :], of_gates)
    for j in range(HIDDEN):
        hidden[j] = _inner(weights[(size + j) * GATES :], of_gates)


@derivative_kernel
def _inner(weights: Any, values: Any) -> Any:
    total = ZERO
    for r in range(GATES):
        total += weights[r] * values[r]
    return total


@kernel
def _tangents(
    packed: Any, direction: Any, features: Any, feature_changes: Any, gates: Any, states: Any, outputs: Any,
    found: Any,
) -> None:  # fmt: skip
    hidden = np.zeros((2, HIDDEN), np.float32)
    cell = np.zeros((2, HIDDEN), np.float32)
    z = np.empty(GATES, np.float32)
    for t in range(len(features)):
        before, after = states[t], states[t + 1]
        _cell_tangents(packed, direction, features[t], feature_changes[t], before[0], before[1], after[1],
                       gates[0, t], z, hidden[0], cell[0])  # fmt: skip
        _cell_tangents(packed[SECOND:], direction[SECOND:], after[0], hidden[0], before[2], before[3],
                       after[3], gates[1, t], z, hidden[1], cell[1])  # fmt: skip
        w, dw = packed[READOUT:], direction[READOUT:]
        for k in range(OUTPUTS):
            total = dw[HIDDEN * OUTPUTS + k]
            for j in range(HIDDEN):
                total += dw[j * OUTPUTS + k] * after[2, j] + w[j * OUTPUTS + k] * hidden[1, j]
            found[t, k] = total * outputs[t, k] * (ONE - outputs[t, k])


@kernel
def _cell_tangents(
    weights: Any, direction: Any, inputs: Any, input_changes: Any, hidden_before: Any, cell_before: Any,
    cell_after: Any, gates: Any, z: Any, hidden: Any, cell: Any,
) -> None:  # fmt: skip
    """One step of one layer: the changes hidden and cell (HIDDEN,) go from before the step to after it."""
    size = len(inputs)
    bias = direction[(size + HIDDEN) * GATES :]
    for r in range(GATES):
        z[r] = bias[r]
    _add_rows(direction, inputs, z)
    _add_rows(weights, input_changes, z)
    _add_rows(direction[size * GATES :], hidden_before, z)
    _add_rows(weights[size * GATES :], hidden, z)
    for r in range(HIDDEN):
        i, f, u, o = gates[r], gates[HIDDEN + r], gates[2 * HIDDEN + r], gates[3 * HIDDEN + r]
        squashed = tanh(cell_after[r])
        change = z[HIDDEN + r] * f * (ONE - f) * cell_before[r] + f * cell[r]
        change += z[r] * i * (ONE - i) * u + i * z[2 * HIDDEN + r] * (ONE - u * u)
        cell[r] = change
        hidden[r] = z[3 * HIDDEN + r] * o * (ONE - o) * squashed + o * (ONE - squashed * squashed) * change
