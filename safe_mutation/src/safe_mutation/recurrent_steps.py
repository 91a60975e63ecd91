"""Recurrent layers step by step, in elementary operations, for any layout of the numbers.

What a step computes is torch's (see nn.RNN, nn.GRU, nn.LSTM). A layer's weights are its input and
hidden matrices, then their two biases if it has any, then an LSTM's projection if it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

State: TypeAlias = tuple[Any, ...]
Linear: TypeAlias = Callable[[Any, Any, Any], Any]
Step: TypeAlias = Callable[[Any, State, Sequence[Any], Linear, int], State]


def simple_step(activation: Callable[[Any], Any]) -> Step:
    """A step of nn.RNN."""

    def step(x: Any, state: State, weights: Sequence[Any], linear: Linear, axis: int) -> State:
        ours, hidden = _gates(x, state[0], weights, linear)
        return (activation(ours + hidden),)

    return step


def gru_step(x: Any, state: State, weights: Sequence[Any], linear: Linear, axis: int) -> State:
    """A step of nn.GRU."""
    ours, hidden = _gates(x, state[0], weights, linear)
    ours_r, ours_z, ours_n = ours.chunk(3, axis)
    hidden_r, hidden_z, hidden_n = hidden.chunk(3, axis)
    new = torch.tanh(ours_n + torch.sigmoid(ours_r + hidden_r) * hidden_n)
    return ((state[0] - new) * torch.sigmoid(ours_z + hidden_z) + new,)


def lstm_step(x: Any, state: State, weights: Sequence[Any], linear: Linear, axis: int) -> State:
    """A step of nn.LSTM."""
    ours, hidden = _gates(x, state[0], weights, linear)
    i, f, g, o = (ours + hidden).chunk(4, axis)
    cell = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    output = torch.sigmoid(o) * torch.tanh(cell)
    if len(weights) in (3, 5):
        output = linear(output, weights[-1], None)
    return (output, cell)


STEPS: dict[str, Step] = {
    "rnn_tanh": simple_step(torch.tanh),
    "rnn_relu": simple_step(torch.relu),
    "gru": gru_step,
    "lstm": lstm_step,
}


def run_layers(
    step: Step,
    inputs: Sequence[Any],
    states: State,
    weights: Sequence[Any],
    *,
    layers: int,
    directions: int,
    linear: Linear,
    axis: int,
) -> tuple[list[Any], list[State]]:
    """Run stacked recurrent layers over a sequence.

    Args:
        step: One of STEPS.
        inputs: What the first layer sees, one item for each time step.
        states: First states: one tensor, for an LSTM two, whose first axis counts layers and directions.
        weights: Of all layers, each layer's directions one after the other.
        layers: Number of layers.
        directions: 2 where the sequence is also run backwards, else 1.
        linear: Applies a matrix and a bias, or None, to the features of a tensor.
        axis: Which axis counts features.

    Returns:
        What the last layer gives at every time step, and the last states of every layer and direction.
    """
    each = len(weights) // (layers * directions)
    ends: list[State] = []
    sequence = list(inputs)
    for layer in range(layers):
        found = []
        for direction in range(directions):
            place = layer * directions + direction
            state = tuple(one[place] for one in states)
            own = weights[place * each : (place + 1) * each]
            outputs = []
            for x in reversed(sequence) if direction else sequence:
                state = step(x, state, own, linear, axis)
                outputs.append(state[0])
            found.append(outputs[::-1] if direction else outputs)
            ends.append(state)
        sequence = (
            found[0] if directions == 1 else [torch.cat(both, axis) for both in zip(*found, strict=True)]
        )
    return sequence, ends


def _gates(x: Any, hidden: Any, weights: Sequence[Any], linear: Linear) -> tuple[Any, Any]:
    ours, theirs = weights[2:4] if len(weights) >= 4 else (None, None)
    return linear(x, weights[0], ours), linear(hidden, weights[1], theirs)
