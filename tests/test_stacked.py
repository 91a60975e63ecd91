"""Modules run once for many genomes give what they give for single ones, or are computed in another way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from safe_mutation import FlatNetwork, SMGAbs, SMGSum, sensitivity
from safe_mutation.stacked import Stacked, Unstackable

Forward = Callable[["Free", Tensor], Tensor]


class Free(nn.Module):
    """A few layers, and a forward pass written below."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.one, self.two, self.square = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 4)
        self.norm, self.table, self.scale = nn.LayerNorm(4), nn.Embedding(5, 3), nn.Parameter(torch.rand(4))
        self.gru = nn.GRU(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.lstm = nn.LSTM(3, 4, batch_first=True, proj_size=2)
        self.rnn = nn.RNN(3, 4, batch_first=True, nonlinearity="relu", bias=False)
        self.time_first, self.cell = nn.RNN(3, 4), nn.LSTMCell(3, 4)
        self.register_buffer("mean", torch.rand(3))
        self.matrix = nn.Parameter(torch.rand(3, 4))
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def mlp(m: Free, x: Tensor) -> Tensor:
    return torch.softmax(m.two(nn.functional.gelu(m.one(x), approximate="tanh")), dim=-1)


def normalised_inputs(m: Free, x: Tensor) -> Tensor:
    return m.two(torch.tanh(m.one((x - m.mean) / (m.mean + 1))))


def residual(m: Free, x: Tensor) -> Tensor:
    h = functional.silu(m.one(x))
    h = 0.5 * h + m.square(h).relu() - h / 3 + (1 - h)
    return m.two(m.norm(h))


def scaled(m: Free, x: Tensor) -> Tensor:
    return m.two(m.one(x) * m.scale)


def masked_weights(m: Free, x: Tensor) -> Tensor:
    return m.two(functional.linear(x, m.one.weight * (m.one.weight.detach() > 0), m.one.bias))


def shared_layer(m: Free, x: Tensor) -> Tensor:
    return m.two(m.square(torch.tanh(m.square(m.one(x)))))


def joined(m: Free, x: Tensor) -> Tensor:
    first, second = torch.tanh(m.one(x)).chunk(2, -1)
    h = torch.cat([first, m.one(x)[:, 2:]], dim=1) + torch.stack([second, -second], 2).flatten(1)
    return m.two(h.unsqueeze(1).squeeze(1))


def matrix_product(m: Free, x: Tensor) -> Tensor:
    return m.two(torch.tanh(x @ m.matrix))


def several_dimensions(m: Free, x: Tensor) -> Tensor:
    """(I, T, 3) through linear layers at every step."""
    return m.two(torch.relu(m.norm(m.one(x)))).flatten(1)


def outputs_at_every_step(m: Free, x: Tensor) -> Tensor:
    return m.two(m.gru(x)[0][..., 4:])


def both_ways(m: Free, x: Tensor) -> Tensor:
    states, last = m.gru(x)
    return m.two(states[:, -1, :4] + last[-1] + last[0])


def projected(m: Free, x: Tensor) -> Tensor:
    states, (hidden, cell) = m.lstm(x)
    return states.mean(1) + hidden.squeeze(0) + m.two(cell[0])


def without_biases(m: Free, x: Tensor) -> Tensor:
    return m.two(m.rnn(x)[0].unbind(1)[-1])


def steps(m: Free, x: Tensor) -> Tensor:
    state = x.new_zeros(len(x), 4), torch.zeros(x.shape[0], 4, dtype=x.dtype)
    for t in range(x.size(1)):
        state = m.cell(x[:, t], state)
    return m.two(state[0])


def tokens(m: Free, x: Tensor) -> Tensor:
    return m.two(torch.tanh(m.one(m.table(x)))).sum(1)


VECTOR, SEQUENCE = (3,), (4, 3)
STACKED: dict[Forward, tuple[int, ...]] = {
    mlp: VECTOR, normalised_inputs: VECTOR, residual: VECTOR, scaled: VECTOR, masked_weights: VECTOR,
    shared_layer: VECTOR, joined: VECTOR, matrix_product: VECTOR, several_dimensions: SEQUENCE,
    outputs_at_every_step: SEQUENCE, both_ways: SEQUENCE, projected: SEQUENCE, without_biases: SEQUENCE,
    steps: SEQUENCE, tokens: (4,),
}  # fmt: skip


def weights_together(m: Free, x: Tensor) -> Tensor:
    """All genomes' weights would be normalised together."""
    return m.two(torch.tanh(functional.linear(x, m.one.weight / m.one.weight.norm(), m.one.bias)))


def softmax_of_weights(m: Free, x: Tensor) -> Tensor:
    return m.two(m.one(x) * m.scale.softmax(0))


def over_experiences(m: Free, x: Tensor) -> Tensor:
    h = m.one(x)
    return m.two(h - h.mean(0))


def asks_for_a_type(m: Free, x: Tensor) -> Tensor:
    return m.two(torch.tanh(m.one(x)) if isinstance(x, Tensor) else m.one(x))


def compares(m: Free, x: Tensor) -> Tensor:
    h = m.one(x)
    return m.two(torch.where(h > 0, h, 0.1 * h))


def transposes_time(m: Free, x: Tensor) -> Tensor:
    return m.two(m.time_first(x.transpose(0, 1))[0][-1])


def shape_from_weights(m: Free, x: Tensor) -> Tensor:
    """Looks at a weight's shape, which has one axis more in a stack."""
    return m.two(m.one(x)) * m.one.weight.shape[0]


def leaves_torch(m: Free, x: Tensor) -> Tensor:
    return m.two(m.one(torch.as_tensor(x)))


OTHER: dict[Forward, tuple[int, ...]] = {
    weights_together: VECTOR, softmax_of_weights: VECTOR, over_experiences: VECTOR, asks_for_a_type: VECTOR,
    compares: VECTOR, transposes_time: SEQUENCE, shape_from_weights: VECTOR,
    leaves_torch: VECTOR,
}  # fmt: skip


def make(forward: Forward, shape: tuple[int, ...]) -> tuple[FlatNetwork, Tensor, Tensor]:
    torch.manual_seed(0)
    network = FlatNetwork(Free(forward).double())
    params = 0.5 * torch.randn(3, network.num_params, dtype=torch.float64)
    inputs = torch.randn(3, 5, *shape, dtype=torch.float64)
    if forward is tokens:
        inputs = torch.randint(5, (3, 5, *shape))
    return network, params, inputs


@pytest.mark.parametrize("forward", [*STACKED, *OTHER], ids=lambda function: function.__name__)
def test_outputs_and_gradients_are_those_of_single_genomes(forward: Forward) -> None:
    network, params, inputs = make(forward, (STACKED | OTHER)[forward])
    leaf = params.clone().requires_grad_()
    together = network(leaf, inputs)
    assert (network.plans.latest.batching == "stacked") == (forward in STACKED)
    alone = torch.stack([network(row, x) for row, x in zip(leaf, inputs, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)
    weights = torch.randn(together.shape, dtype=torch.float64)
    (found,) = torch.autograd.grad(together, leaf, weights)
    (expected,) = torch.autograd.grad(alone, leaf, weights)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("forward", STACKED, ids=lambda function: function.__name__)
def test_absolute_sensitivities(forward: Forward) -> None:
    """The shortcut for linear layers sees into stacks, and refuses the rest."""
    network, params, inputs = make(forward, STACKED[forward])
    measured = sensitivity.absolute(network, params, inputs)
    for n in range(3):
        rows = []
        for i in range(5):
            leaf = params[n].clone().requires_grad_()
            outputs = network(leaf, inputs[n, i : i + 1]).flatten(0, -2)
            for row in outputs:
                rows.append(torch.stack([torch.autograd.grad(y, leaf, retain_graph=True)[0] for y in row]))
        expected = torch.stack(rows).abs().mean(0).square().sum(0).sqrt()
        torch.testing.assert_close(measured[n], expected, rtol=1e-8, atol=1e-11)


def test_sequences_of_layers() -> None:
    """Nested ones, frozen and missing biases; and none where a weight is used twice or a hook may look."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ELU(0.5), nn.Identity())
    module = nn.Sequential(
        nn.Linear(3, 4), nn.SELU(), body, nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)
    ).double()
    module[3].requires_grad_(False)
    module[0].bias.requires_grad_(False)
    twice = nn.Sequential(module[0], body[0], nn.Tanh(), body[0], module[5])
    hooked = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    hooked[0].register_forward_hook(lambda layer, x, y: torch.tanh(y))
    for one, sequence in ((module, True), (twice, False), (hooked, False)):
        network = FlatNetwork(one)
        params = torch.randn(3, network.num_params, dtype=torch.float64)
        inputs = torch.randn(3, 5, 3, dtype=torch.float64)
        assert (network._host(params).sequence is not None) == sequence
        alone = torch.stack([network(row, x) for row, x in zip(params, inputs, strict=True)])
        torch.testing.assert_close(network(params, inputs), alone, rtol=1e-10, atol=1e-12)
        for make_one in (SMGSum, SMGAbs):
            op = make_one(network, sigma=0.1)
            other = make_one(network, sigma=0.1, chunk_size=1)
            found = op.sensitivity(params, experiences=inputs, per_parent=True)
            torch.testing.assert_close(
                other.sensitivity(params, experiences=inputs, per_parent=True), found, rtol=1e-9, atol=1e-12
            )


def test_stacks_refuse_what_is_not_known() -> None:
    x = Stacked.of(torch.ones(2, 5, 3), torch.ones(2, 7))
    assert x.shape == (5, 3)
    assert len(x) == 5
    for wrong in (
        lambda: x.mean(0), lambda: x[0], lambda: x.flatten(0), lambda: x.reshape(15), lambda: torch.sort(x),
        lambda: x > 0, lambda: bool(x), lambda: float(x), lambda: x.T, lambda: x[:, torch.tensor([0])],
        lambda: torch.mean(x), lambda: x + x.unsqueeze(1), lambda: torch.cat([x, x]), lambda: x.view(3, 5),
        lambda: functional.dropout(x, 0.5), lambda: x == 1,
    ):  # fmt: skip
        with pytest.raises(Unstackable):
            wrong()
