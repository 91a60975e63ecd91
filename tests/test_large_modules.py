"""What large modules need: gradients of a parameter at a time, noise of some weights at a time, no copies."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, Kind, naive_jacobian
from safe_mutation import FlatNetwork, GaussianMutation, SMGAbs, SMGSum, by_parameter, request, sensitivity
from safe_mutation.experiences import map_leaves, take
from safe_mutation.row_sums import combined

MODULES = [kind for kind in KINDS if isinstance(kind.network(), FlatNetwork)]
every_module = pytest.mark.parametrize("kind", MODULES, ids=lambda kind: kind.name)
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def module_of(dtype: torch.dtype = torch.float32) -> nn.Module:
    """Large enough (17,812 weights) to be computed as larger ones are."""
    layers = [nn.Linear(3, 130), nn.Tanh(), nn.Linear(130, 130), nn.ReLU(), nn.Linear(130, 2)]
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(*layers)
    for p in module.parameters():
        nn.init.normal_(p, std=0.1, generator=generator)
    return module.to(dtype)


@every_module
def test_gradients_by_parameter_are_those_of_the_whole_genome(kind: Kind) -> None:
    wide = kind.experiences(6, torch.Generator().manual_seed(1))
    for x in (map_leaves(lambda v: v.float() if v.is_floating_point() else v, wide), wide):
        dtype = torch.float64 if x is wide else torch.float32
        network, params, inputs = kind.network(dtype=dtype), kind.genomes(1, dtype=dtype), take(x, None)
        network.prepare(params, inputs)
        found = by_parameter.summed(network, params, inputs)
        whole, _ = sensitivity.gradient_per_output(None, network, params, inputs, copies=1)
        expected = combined((gradient.abs() for gradient in whole), 1, 1)
        # torch.hypot rounds the last few numbers of a tensor in another way than the others.
        torch.testing.assert_close(found, expected, rtol=2 * torch.finfo(dtype).eps, atol=0)
    naive = naive_jacobian(network, params[0], wide).sum(0).square().sum(0).sqrt()
    torch.testing.assert_close(found[0], naive, rtol=1e-9, atol=1e-12)
    assert (naive > 0).any()


def test_experiences_that_fill_no_rectangle() -> None:
    kind = next(kind for kind in KINDS if kind.name == "nn.GRU")
    network = kind.network()
    genome = kind.genomes(1)[0]
    x = [torch.randn(length, 2, dtype=torch.float64) for length in (2, 5, 2, 1)]
    found = SMGSum(network, sigma=0.1).sensitivity(genome, experiences=x)
    naive = torch.cat([naive_jacobian(network, genome, one[None]) for one in x]).sum(0).square().sum(0).sqrt()
    torch.testing.assert_close(found, naive, rtol=1e-9, atol=1e-12)


def test_only_the_modules_own_gradients_are_taken() -> None:
    outside = nn.Parameter(torch.ones(2))
    module = module_of()
    op = SMGSum(FlatNetwork(module, forward=lambda module, x: module(x) * outside), sigma=0.1)
    op.mutate_(module, experiences=X, generator=1)
    assert outside.grad is None
    assert all(p.grad is None and p.is_leaf for p in module.parameters())


def naive_child(network: FlatNetwork, genome: Tensor, clip: float) -> Tensor:
    """A child of SM-G-SUM by the paper's rules, all noise drawn at once."""
    total = naive_jacobian(network, genome, torch.from_numpy(X)).sum(0).square().sum(0).sqrt()
    total[total <= torch.finfo(total.dtype).eps * total.max()] = 1
    noise = np.random.Generator(np.random.Philox(3)).standard_normal(len(genome), dtype=np.float32)
    return genome + (0.1 * torch.from_numpy(noise) / total.clamp(min=0.01)).clamp(-clip, clip)


@pytest.mark.parametrize("piece", [999, 2**22])
def test_noise_in_pieces_is_the_noise_of_one_draw(monkeypatch: Any, piece: int) -> None:
    network = FlatNetwork(module_of())
    parents = torch.stack([network.flatten(), -network.flatten()])
    mask = network.mask("2.*")
    for generator in (3, [3, 4], torch.Generator().manual_seed(5)):
        for op in (SMGSum(network, sigma=0.1, weight_clip=0.2, mask=mask), SMGAbs(network, sigma=0.01)):
            seed = generator.get_state() if isinstance(generator, torch.Generator) else None
            detailed, _ = op(parents, experiences=X, generator=generator, return_info=True)
            monkeypatch.setattr(request, "PIECE", piece)
            if seed is not None:
                generator.set_state(seed)
            plain = op(parents, experiences=X, generator=generator)
            monkeypatch.undo()
            torch.testing.assert_close(plain, detailed, rtol=0, atol=0)
            if op.mask is not None:
                assert torch.equal(plain[:, ~mask], parents[:, ~mask])
    monkeypatch.setattr(request, "PIECE", piece)
    child = SMGSum(network, sigma=0.1, weight_clip=0.2)(parents[0], experiences=X, generator=3)
    torch.testing.assert_close(child, naive_child(network, parents[0], 0.2), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("precision", [None, "float64"])
@pytest.mark.parametrize("intensity", [{"sigma": 0.1}, {"divergence": 0.1}])
@pytest.mark.parametrize("make", [GaussianMutation, SMGSum])
def test_a_module_becomes_the_child_of_its_genome(
    make: Any, intensity: Any, precision: Any, dtype: Any
) -> None:
    module = module_of(dtype)
    op = make(module, precision=precision, **intensity)
    parent = op.network.flatten()
    child = op(parent, experiences=X, generator=3)
    op.mutate_(module, experiences=X, generator=3)
    assert child.dtype == dtype
    assert torch.equal(op.network.flatten(module), child)
    assert not torch.equal(child, parent)


def test_a_module_of_several_precisions() -> None:
    module = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 2, dtype=torch.bfloat16))
    genome = torch.cat([p.detach().reshape(-1).float() for p in module.parameters()])
    GaussianMutation(sigma=0.1).mutate_(module, generator=1)
    child = GaussianMutation(sigma=0.1)(genome, generator=1)
    assert torch.equal(torch.cat([p.detach().reshape(-1) for p in module[:2].parameters()]), child[:160])
    last = torch.cat([p.detach().reshape(-1) for p in module[2].parameters()])
    assert torch.equal(last, child[160:].bfloat16())


class Breaking(torch.autograd.Function):
    """A backward pass that fails at its second output."""

    passes = 0

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        Breaking.passes += 1
        if Breaking.passes == 2:
            raise RuntimeError("broken")
        return gradient


def unchanged_by(module: nn.Module, op: Any, error: type[Exception], words: str) -> None:
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(error, match=words):
        op.mutate_(module, experiences=X, generator=1)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_a_module_is_as_it_was_after_any_failure(monkeypatch: Any) -> None:
    module = module_of()
    steep = FlatNetwork(module, forward=lambda module, x: (module(x) * 0).sqrt())
    unchanged_by(module, SMGSum(steep, sigma=0.1), ValueError, "finite sensitivities")
    Breaking.passes = 0
    broken = FlatNetwork(module, forward=lambda module, x: Breaking.apply(module(x)))
    unchanged_by(module, SMGSum(broken, sigma=0.1), RuntimeError, "broken")
    constant = FlatNetwork(module, forward=lambda module, x: module(x).detach())
    unchanged_by(module, SMGSum(constant, sigma=0.1), TypeError, "differentiable")
    drawn = []

    def draw(sources: Any, like: Tensor) -> Tensor:
        drawn.append(like.numel())
        if len(drawn) == 3:
            raise MemoryError("no room for noise")
        return torch.ones_like(like)

    monkeypatch.setattr(request, "PIECE", 100)
    monkeypatch.setattr(request, "standard_normal", draw)
    unchanged_by(module, SMGSum(module, sigma=0.1), MemoryError, "no room")
    assert drawn == [100, 100, 100]


PROGRAM = """
import sys, torch
from torch import nn
from safe_mutation import GaussianMutation, SMGSum
from operators import PeakMemory
torch.set_num_threads(1)
layers = [nn.Linear(8, 1024), *[nn.Linear(1024, 1024) for _ in range(32)], nn.Linear(1024, 2)]
module = nn.Sequential(*layers).to(getattr(torch, sys.argv[2]))
op = SMGSum(module, sigma=0.1) if sys.argv[1] == "SUM" else GaussianMutation(sigma=0.1)
with PeakMemory() as peak:
    op.mutate_(module, experiences=torch.ones(4, 8), generator=1)
print(peak.megabytes / 4 / 33)  # in genomes of float32
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("operator", "genomes"), [("control", 2.4), ("SUM", 3.6)])
def test_memory_in_genomes_of_a_large_module(operator: str, genomes: float, dtype: str) -> None:
    """Two, and what torch and one layer need; with the gradients of all parameters at once it were six."""
    paths = [Path(__file__).parents[1] / "benchmarks", *sys.path]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = {list(map(str, paths))}\n{PROGRAM}",
            operator,
            dtype,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < genomes, done.stdout
