"""The paper's recurrent network for Recurrent Parity."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from evolution.networks.layout import Layout, as_batch, linear_shapes, uniform, xavier_normal


class ParityNetwork:
    """Two stacked tanh RNN cells of 20 units and a softmax over two classes.

    An input is a whole bit sequence; the output is the class distribution after its last bit.

    Args:
        outputs: 2, as in the published code (1,342 weights), or 1 as the paper's text has it (1,321
            weights): the probability of odd parity, a sigmoid.
    """

    HIDDEN = 20

    def __init__(self, outputs: int = 2) -> None:
        if outputs not in (1, 2):
            raise ValueError(f"expected 1 or 2 outputs, got {outputs!r}")
        h = self.HIDDEN
        self.outputs = outputs
        self.layout = Layout(
            input1=(h, 1), recurrent1=(h, h), input_bias1=(h, 1), recurrent_bias1=(h, 1),
            input2=(h, h), recurrent2=(h, h), input_bias2=(h, 1), recurrent_bias2=(h, 1),
            **linear_shapes("output", h, outputs),
        )  # fmt: skip
        self.num_params = self.layout.num_params

    def __repr__(self) -> str:
        return f"ParityNetwork of 2 x {self.HIDDEN} tanh units, {self.outputs} outputs"

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Map genomes (N, P) and bits (N, I, T, 1) to probabilities (N, I, K); also without the N."""
        single = params.ndim == 1
        params, inputs = as_batch(params, inputs, self.num_params, input_ndim=4)
        u1, w1, a1, b1, u2, w2, a2, b2, v, c = self.layout.views(params)
        bits = inputs.permute(2, 0, 3, 1)  # (T, N, 1, I)
        bias1, bias2 = a1 + b1, a2 + b2
        h1 = torch.tanh(torch.baddbmm(bias1, u1, bits[0]))  # the hidden state starts at zero
        h2 = torch.tanh(torch.baddbmm(bias2, u2, h1))
        for bit in bits[1:]:
            h1 = torch.tanh(torch.baddbmm(torch.baddbmm(bias1, u1, bit), w1, h1))
            h2 = torch.tanh(torch.baddbmm(torch.baddbmm(bias2, u2, h1), w2, h2))
        totals = torch.baddbmm(c, v, h2)
        squashed = torch.softmax(totals, dim=1) if self.outputs == 2 else torch.sigmoid(totals)
        outputs = squashed.transpose(1, 2)
        return outputs[0] if single else outputs

    def module(self) -> ParityModule:
        """The same network as an ordinary module; its parameters, one after the other, are a genome."""
        return ParityModule(self.outputs)

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32: the cells as PyTorch draws them, the output Xavier-normal."""
        h, k = self.HIDDEN, self.outputs
        cells = uniform(generator, number, 1 / math.sqrt(h), self.num_params - k * h - k)
        output = xavier_normal(generator, number, h, k, k * h)
        return np.concatenate([cells, output, uniform(generator, number, 1 / math.sqrt(h), k)], axis=1)


class ParityModule(nn.Module):
    """``ParityNetwork`` as one would first write it, for one set of weights."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        h = ParityNetwork.HIDDEN
        self.cell1, self.cell2 = nn.RNNCell(1, h), nn.RNNCell(h, h)
        self.output = nn.Linear(h, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map bit sequences (I, T, 1) to probabilities (I, K)."""
        h1 = h2 = inputs.new_zeros(len(inputs), ParityNetwork.HIDDEN)
        for bit in inputs.unbind(1):
            h1, h2 = self.step(bit, h1, h2)
        return self.classify(h2)

    def step(self, bit: Tensor, h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (I, 20) after one more bit (I, 1)."""
        h1 = self.cell1(bit, h1)
        return h1, self.cell2(h1, h2)

    def classify(self, h2: Tensor) -> Tensor:
        """Probabilities (I, K) of a hidden state."""
        totals = self.output(h2)
        return torch.sigmoid(totals) if totals.shape[1] == 1 else torch.softmax(totals, dim=1)
