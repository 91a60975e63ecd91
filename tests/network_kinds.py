"""One small network of every kind that people evolve, with experiences for it.

Used by the tests of the operators, and by ``support_table.py`` to say what works with which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from safe_mutation import FlatNetwork
from safe_mutation.experiences import count, take


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return torch.sigmoid(self.last(x + torch.tanh(self.second(x))))


class Recurrent(nn.Module):
    """A recurrent layer over a sequence; the outputs after its last step, or after every step."""

    def __init__(self, layer: nn.RNNBase, every_step: bool = False) -> None:
        super().__init__()
        self.layer, self.head, self.every_step = layer, nn.Linear(layer.hidden_size, 2), every_step

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return torch.tanh(self.head(states if self.every_step else states[:, -1]))


class CellLoop(nn.Module):
    """A recurrent cell that is called once for every step of a sequence."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return torch.sigmoid(self.head(state[0] if isinstance(state, tuple) else state))


class ConvLSTM(nn.Module):
    """Convolutions of every picture of an episode, two LSTM cells through time, outputs at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 3, stride=2), nn.Conv2d(3, 3, 3, padding=1)
        self.cell1, self.cell2, self.head = nn.LSTMCell(3, 4), nn.LSTMCell(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps = x.shape[:2]
        features = torch.selu(self.conv2(torch.selu(self.conv1(x.flatten(0, 1))))).mean((2, 3))
        outputs, a, b = [], None, None
        for feature in features.unflatten(0, (batch, steps)).unbind(1):
            a = self.cell1(feature, a)
            b = self.cell2(a[0], b)
            outputs.append(torch.sigmoid(self.head(b[0])))
        return torch.stack(outputs, 1)


class TokenNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embedding(x).mean(1)))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.head(self.encoder(x).mean(1)))


class TiedWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))


class DictObservations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eye, self.body, self.head = nn.Conv2d(1, 2, 3), nn.Linear(3, 4), nn.Linear(6, 2)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        seen = torch.relu(self.eye(x["picture"])).mean((2, 3))
        return self.head(torch.cat([seen, torch.tanh(self.body(x["position"]))], 1))


class ParallelLinear:
    """A batched function without nn.Module: rows of experiences, matmul and a separate bias."""

    num_params = 3 * 5 + 5 + 5 * 2 + 2

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        w1, b1, w2, b2 = params.split([15, 5, 10, 2], dim=1)
        hidden = torch.selu(inputs @ w1.view(-1, 3, 5) + b1[:, None])
        return torch.sigmoid(torch.bmm(hidden, w2.view(-1, 5, 2)) + b2.unsqueeze(1))


class ParallelRecurrent:
    """A batched function that uses its weights at every step of a sequence, feature-major."""

    num_params = 4 * 2 + 4 * 4 + 4 + 2 * 4

    def __call__(self, params: Tensor, inputs: Tensor) -> Tensor:
        u, w, b, v = params.split([8, 16, 4, 8], dim=1)
        u, w, b, v = u.view(-1, 4, 2), w.view(-1, 4, 4), b.view(-1, 4, 1), v.view(-1, 2, 4)
        state = torch.zeros(len(params), 4, inputs.shape[1], dtype=params.dtype, device=params.device)
        for x in inputs.permute(2, 0, 3, 1):
            state = torch.tanh(torch.baddbmm(torch.baddbmm(b, u, x), w, state))
        return (v @ state).transpose(1, 2)


def frozen() -> nn.Module:
    module = Residual()
    module.second.requires_grad_(False)
    module.last.bias.requires_grad_(False)
    return module


def batch_norm() -> nn.Module:
    layer = nn.BatchNorm1d(5)
    nn.init.uniform_(layer.running_mean)
    return nn.Sequential(nn.Linear(3, 5), layer, nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2)).eval()


def normal(*shape: int) -> Callable[[int, torch.Generator], Tensor]:
    return lambda count, generator: torch.randn(count, *shape, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Kind:
    """A kind of network: how to make one, and its experiences (I, ...) in float64.

    Some compute in single precision alone.
    """

    name: str
    make: Callable[[], Any]
    experiences: Callable[[int, torch.Generator], Any]
    precision: torch.dtype = torch.float64

    def network(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = self.make()
        return FlatNetwork(made.to(dtype)) if isinstance(made, nn.Module) else made

    def genomes(self, number: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        length = self.network().num_params
        return 0.5 * torch.randn(number, length, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layer_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2))


def weight_norm() -> nn.Module:
    first = nn.utils.parametrizations.weight_norm(nn.Linear(3, 5))
    return nn.Sequential(first, nn.Tanh(), nn.Linear(5, 2))


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))


def picture_and_position(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    return {"picture": normal(1, 5, 5)(count, generator), "position": normal(3)(count, generator)}


def tokens(count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(6, (count, 3), generator=generator)


KINDS = [
    Kind("MLP", lambda: nn.Sequential(nn.Linear(3, 5), nn.SELU(), nn.Linear(5, 2), nn.Sigmoid()), normal(3)),
    Kind("residual MLP", Residual, normal(3)),
    Kind("MLP with LayerNorm", layer_norm, normal(3)),
    Kind("MLP with BatchNorm and dropout (eval mode)", batch_norm, normal(3)),
    Kind("MLP with weight normalisation", weight_norm, normal(3)),
    Kind("tied weights", TiedWeights, normal(3)),
    Kind("frozen weights", frozen, normal(3)),
    Kind("convolutional", convolutional, normal(1, 5, 5)),
    Kind("dict observations", DictObservations, picture_and_position),
    Kind("embedded tokens", TokenNetwork, tokens),
    Kind("nn.RNN", lambda: Recurrent(nn.RNN(2, 4, batch_first=True)), normal(3, 2)),
    Kind("nn.GRU", lambda: Recurrent(nn.GRU(2, 4, batch_first=True)), normal(3, 2)),
    Kind("nn.LSTM", lambda: Recurrent(nn.LSTM(2, 4, num_layers=2, batch_first=True)), normal(3, 2)),
    Kind(
        "nn.LSTM, outputs at every step",
        lambda: Recurrent(nn.LSTM(2, 4, batch_first=True), True),
        normal(3, 2),
    ),
    Kind("nn.RNNCell in a loop", lambda: CellLoop(nn.RNNCell(2, 4)), normal(3, 2)),
    Kind("nn.GRUCell in a loop", lambda: CellLoop(nn.GRUCell(2, 4)), normal(3, 2)),
    Kind("nn.LSTMCell in a loop", lambda: CellLoop(nn.LSTMCell(2, 4)), normal(3, 2)),
    Kind("convolutions and LSTM cells, outputs at every step", ConvLSTM, normal(3, 1, 7, 7)),
    Kind("transformer", Transformer, normal(3, 4)),
    Kind("batched function, linear layers", ParallelLinear, normal(3)),
    Kind("batched function, recurrent", ParallelRecurrent, normal(3, 2)),
]


def naive_jacobian(network: Any, genome: Tensor, experiences: Any) -> Tensor:
    """d y_r / dw for every row r of the outputs, shape (I*T, K, P): one experience and output at a time."""
    rows = []
    for i in range(count(experiences)):
        leaf = genome.clone().requires_grad_()
        alone = take(experiences, slice(i, i + 1))
        if isinstance(network, FlatNetwork):
            outputs = network(leaf, alone)
        else:
            outputs = network(leaf[None], take(alone, None))[0]
        for row in outputs.flatten(0, -2):
            rows.append(torch.stack([torch.autograd.grad(y, leaf, retain_graph=True)[0] for y in row]))
    return torch.stack(rows)
