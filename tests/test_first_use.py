"""What is found out about a network on its first use has to hold for all that comes later."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from forked import Forked
from safe_mutation import SMGSO, FlatNetwork, GaussianMutation, SafeMutation, SMGAbs, SMGRms


def gradients(module, x):
    """Gradients (K, P) of a module's outputs for one experience."""
    outputs = module(x[None])[0]
    each = [torch.autograd.grad(y, list(module.parameters()), retain_graph=True) for y in outputs]
    return torch.stack([torch.cat([part.flatten() for part in parts]) for parts in each])


class OfMeanSize(nn.Linear):
    """A layer of weights over their mean size, which a batch of genomes must not share."""

    def forward(self, x):
        return functional.linear(x, self.weight / self.weight.abs().mean(), self.bias)


def test_genomes_of_a_large_batch_are_not_mixed_though_the_first_were_alike():
    torch.manual_seed(0)
    middle = [nn.Linear(11, 520), nn.Tanh(), OfMeanSize(520, 520), nn.Tanh()]
    network = FlatNetwork(nn.Sequential(*middle, nn.Linear(520, 2), nn.Tanh()))
    experiences = torch.rand(20, 11)
    parent = network.flatten()
    SafeMutation(network)(parent.repeat(5, 1), experiences=experiences, generator=1)
    four = parent * torch.tensor([1.0, 2, 4, 8])[:, None]
    with torch.no_grad():
        together = network(four, experiences.expand(4, 20, 11))
        alone = torch.stack([network.to_module(genome)(experiences) for genome in four])
    assert torch.allclose(together, alone, atol=1e-5)


class ByHand(torch.autograd.Function):
    """A sine whose backward pass is computed out of torch's sight."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(np.sin(x.detach().numpy()))

    @staticmethod
    def backward(ctx, g):
        return torch.from_numpy(g.detach().numpy() * np.cos(ctx.saved_tensors[0].detach().numpy()))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, h):
        return h + ByHand.apply(self.layer(h))


class StraightThrough(nn.Module):
    """Rounds, with the gradient of the identity."""

    def forward(self, x):
        with torch.no_grad():
            rest = torch.round(x * 4) / 4 - x
        return x + rest


@pytest.mark.parametrize(("middle", "close"), [(Residual, 0.01), (StraightThrough, 1e-9)])
def test_so_takes_the_same_jacobian_forwards_as_backwards(middle, close):
    torch.manual_seed(0)
    layers = [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), middle(), nn.Tanh(), nn.Linear(8, 2)]
    module = nn.Sequential(*layers).double()
    network, experiences = FlatNetwork(module), torch.randn(30, 5, dtype=torch.float64)
    genome, op = network.flatten(), SMGSO(network, sigma=0.1)
    approximate = middle is Residual  # neither torch's forward rules nor its second backward pass are right
    with pytest.warns(RuntimeWarning, match="central difference") if approximate else torch.enable_grad():
        _, info = op(genome, experiences=experiences, generator=1, return_info=True)
    v = GaussianMutation(sigma=0.1)(genome, generator=1) - genome
    jacobian = torch.stack([gradients(module, x) for x in experiences])
    true = (2 / 30 * torch.einsum("ikp,ik->p", jacobian, jacobian @ v)).abs().sqrt()
    assert torch.allclose(info.sensitivity, true, rtol=close, atol=close * float(true.mean()))


class LinearFunction(torch.autograd.Function):
    """A linear layer whose backward pass nobody can watch."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x.mm(weight.t()) + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g.mm(weight), g.t().mm(x), g.sum(0)


class Adapter(nn.Module):
    """A layer beside one that leads through weights that begin at zero."""

    def __init__(self):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(6, 3), nn.Linear(6, 4), nn.Linear(4, 3)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        hidden = torch.tanh(LinearFunction.apply(x, self.down.weight, self.down.bias))
        return torch.tanh(self.base(x) + self.up(hidden))


@pytest.mark.parametrize(("kind", "power"), [(SMGAbs, 1), (SMGRms, 2)])
def test_sensitivities_hold_for_weights_whose_gradients_vanished_at_first(kind, power):
    torch.manual_seed(0)
    module = Adapter().double()
    network, experiences = FlatNetwork(module), torch.randn(40, 6, dtype=torch.float64)
    parent = network.flatten()
    more = {} if power == 1 else {"probes": None}
    op = kind(network, divergence=0.03, **more)
    op(parent, experiences=experiences, generator=1)
    child = parent + 0.3 * torch.randn_like(parent)
    network.load_(module, child)
    mean = torch.stack([gradients(module, x).abs() ** power for x in experiences]).mean(0)
    true = mean.square().sum(0).sqrt() if power == 1 else mean.sum(0).sqrt()
    assert torch.allclose(op.sensitivity(child, experiences=experiences), true, rtol=1e-9)


class HoldsItself(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.a, self.b = nn.Linear(5, 16), nn.Linear(16, 2)
        self.features = held(self)

    def forward(self, x):
        return torch.tanh(self.b(self.features(x)))


@pytest.mark.parametrize(
    "held",
    [
        lambda module: lambda x: torch.tanh(module.a(x)),
        lambda module: torch.compile(lambda x: torch.tanh(module.a(x)), backend="eager"),
    ],
)
def test_a_module_whose_copy_would_use_the_originals_weights_is_refused(held):
    module = HoldsItself(held)
    network, experiences = FlatNetwork(module), torch.randn(20, 5)
    with pytest.raises(ValueError, match="expected a module whose copy uses parameters of its own"):
        SafeMutation(network)(network.flatten(), experiences=experiences, generator=1)
    before = torch.tanh(module.b(torch.tanh(module.a(experiences)))).detach()
    _, info = SafeMutation(network).mutate_(
        module, experiences=experiences, generator=1, return_info=True
    )  # in place nothing is copied
    with torch.no_grad():
        moved = (module(experiences) - before).square().sum(1).mean()
    assert float(moved) == pytest.approx(info.divergence, rel=1e-3)


def test_a_network_of_others_outside_the_module_is_theirs():
    encoder, module = nn.Linear(5, 6), nn.Linear(6, 2)
    network = FlatNetwork(module, forward=lambda module, x: module(torch.tanh(encoder(x))))
    child = SafeMutation(network)(network.flatten(), experiences=torch.randn(20, 5), generator=1)
    assert not torch.equal(child, network.flatten())


HUNGRY = """
import resource, torch
from torch import nn
from safe_mutation import FlatNetwork, SMGAbs
torch.set_num_threads(1)
torch.manual_seed(0)
{module}
network = FlatNetwork(module)
genome = network.flatten()
op = SMGAbs(network, sigma=0.1, chunk_size=8)
op.sensitivity(genome, experiences=few)  # what torch itself needs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = op.sensitivity(genome, experiences=many)
assert torch.isfinite(found).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

MANY_OUTPUTS = """
module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)), nn.Tanh(), nn.Linear(4, 700))
few, many = torch.randn(1, 8), torch.randn(16, 8)
"""

MANY_STEPS = """
class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(128, 2, batch_first=True), nn.Linear(128, 8)
    def forward(self, x):
        return self.out(self.attention(x, x, x)[0])
module = Steps()
few, many = torch.randn(2, 3, 128), torch.randn(2, 150, 128)
"""


@pytest.mark.parametrize(("module", "megabytes"), [(MANY_OUTPUTS, 200), (MANY_STEPS, 150)])
def test_the_memory_of_gradients_one_by_one_does_not_grow_with_the_outputs(module, megabytes):
    status, output, errors = Forked(HUNGRY.format(module=module)).wait()
    assert status == 0, errors
    assert int(output) < megabytes * 1000
