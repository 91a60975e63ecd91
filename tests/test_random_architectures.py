"""Property-based: random architectures against a naive loop that knows nothing of flat genomes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from safe_mutation import SMGSO, FlatNetwork, SMGAbs, SMGSum

ACTIVATIONS = [nn.Tanh, nn.SELU, nn.Sigmoid, nn.ReLU, nn.GELU, nn.Softplus]


class Stack(nn.Module):
    """Blocks in a row, some of them with a skip connection; the inputs are flattened after the pictures."""

    def __init__(self, blocks: list[nn.Module], skips: list[bool]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        for block, skip in zip(self.blocks, self.skips, strict=True):
            x = x + block(x) if skip else block(x)
        return x


class Sequences(nn.Module):
    """A recurrent layer and a head; outputs after the last step or after all of them."""

    def __init__(self, layer: nn.RNNBase, head: nn.Module, every_step: bool) -> None:
        super().__init__()
        self.layer, self.head, self.every_step = layer, head, every_step

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return self.head(states if self.every_step else states[:, -1])


@st.composite
def architectures(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A module and the shape of one experience."""
    outputs = draw(st.integers(1, 3))
    family = draw(st.sampled_from(["linear", "linear", "linear", "normalised", "pictures", "sequences"]))
    activation = draw(st.sampled_from(ACTIVATIONS))
    if family == "sequences":
        layer = draw(st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]))
        recurrent = layer(2, 3, num_layers=draw(st.integers(1, 2)), batch_first=True)
        every_step = draw(st.booleans())
        return Sequences(recurrent, nn.Linear(3, outputs), every_step), (draw(st.integers(1, 3)), 2)
    blocks: list[nn.Module] = []
    skips: list[bool] = []
    shape: tuple[int, ...]
    if family == "pictures":
        channels = draw(st.integers(1, 2))
        blocks = [nn.Sequential(nn.Conv2d(1, channels, 3), activation(), nn.Flatten())]
        skips, width, shape = [False], 4 * channels, (1, 4, 4)
    else:
        width = draw(st.integers(1, 4))
        shape = (width,)
    for _ in range(draw(st.integers(0, 3))):
        skip = draw(st.booleans())
        wider = width if skip else draw(st.integers(1, 5))
        norm = [nn.LayerNorm(wider)] if family == "normalised" and wider > 1 else []
        blocks.append(nn.Sequential(nn.Linear(width, wider, bias=draw(st.booleans())), *norm, activation()))
        skips.append(skip)
        width = wider
    blocks.append(nn.Linear(width, outputs, bias=draw(st.booleans())))
    skips.append(False)
    module = Stack(blocks, skips)
    if draw(st.booleans()):  # freeze something, but never everything
        first, *others = module.parameters()
        first.requires_grad_(not others)
    return module, shape


def naive_jacobian(module: nn.Module, genome: np.ndarray, experiences: Tensor) -> np.ndarray:
    """d y / dw (R, K, P), one backward pass for each output of each experience."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    start = 0
    with torch.no_grad():
        for p in parameters:
            p.copy_(torch.from_numpy(genome[start : start + p.numel()]).view(p.shape))
            start += p.numel()
    rows = []
    for experience in experiences:
        for row in module(experience[None]).flatten(0, -2):
            gradients = [torch.autograd.grad(y, parameters, retain_graph=True) for y in row]
            rows.append([torch.cat([g.flatten() for g in one]).numpy() for one in gradients])
    return np.array(rows)


def assert_close(measured: np.ndarray, expected: np.ndarray) -> None:
    scale = np.abs(expected).max()
    assert np.abs(measured - expected).max() <= 1e-9 * scale


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    drawn=architectures(),
    parents=st.integers(1, 3),
    experiences=st.integers(1, 5),
    shared=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_sensitivities(drawn, parents: int, experiences: int, shared: bool, seed: int) -> None:
    module, shape = drawn
    module = module.double()
    network = FlatNetwork(module)
    generator = np.random.default_rng(seed)
    genomes = generator.normal(size=(parents, network.num_params))
    sets = generator.normal(size=(1 if shared else parents, experiences, *shape))
    call = {"experiences": sets[0] if shared else sets, "per_parent": not shared}
    sums = SMGSum(network, sigma=0.1).sensitivity(genomes, **call)
    means = SMGAbs(network, sigma=0.1).sensitivity(genomes, **call)
    seeds = list(range(parents))
    _, info = SMGSO(network, sigma=0.1)(genomes, **call, generator=seeds, return_info=True)
    for n in range(parents):
        jacobian = naive_jacobian(module, genomes[n], torch.from_numpy(sets[0 if shared else n]))
        assert_close(sums[n], np.sqrt((jacobian.sum(0) ** 2).sum(0)))
        assert_close(means[n], np.sqrt((np.abs(jacobian).mean(0) ** 2).sum(0)))
        delta = 0.1 * np.random.Generator(np.random.Philox(n)).standard_normal(network.num_params)
        rows = jacobian.reshape(-1, network.num_params)
        product = 2 / len(jacobian) * rows.T @ (rows @ delta)
        assert_close(info.sensitivity[n] ** 2, np.abs(product))
