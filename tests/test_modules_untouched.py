"""Modules are as they were after any call: hidden states, counts, cached distributions, graphs, pickles."""

from __future__ import annotations

import copy
import pickle
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SMGAbs, SMGSum
from safe_mutation.module_state import COMPARED, ModuleState, copy_module

OPERATORS = [
    lambda network: GaussianMutation(network, sigma=0.05),
    lambda network: SMR(network, divergence=1e-3),
    lambda network: SMGSum(network, sigma=0.05, weight_clip=0.1),
    lambda network: SMGAbs(network, sigma=0.05, weight_clip=0.1),
    lambda network: SMGSO(network, sigma=0.05, weight_clip=0.1),
]


class Distribution:
    """Keeps what it was last asked about, as libraries' policies do."""

    def __init__(self) -> None:
        self.mean: Tensor | None = None
        self.asked: list[int] = []


class Keeping(nn.Module):
    """Changes everything that a module can keep, without letting it act on the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(3, 4), nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("large", torch.zeros(COMPARED + 1))
        self.register_buffer("behind", torch.zeros(3))
        self.h = torch.zeros(4)
        self.distribution = Distribution()
        self.seen: deque[int] = deque([1], maxlen=5)
        self.names = {"first"}
        self.array = np.zeros(3)
        self.table: dict[str, Any] = {"a": 1}

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.layer(x))
        self.h = hidden
        self.count += 1
        self.large.add_(1)
        self.behind.data.add_(1)
        self.mean = x.mean(0)
        self.distribution.mean = hidden
        self.distribution.asked.append(len(x))
        self.seen.append(len(x))
        self.names.add("second")
        self.array += 1
        self.table["b"] = hidden
        self.table["a"] = 2
        self.new = hidden
        return self.head(hidden)


def kept(module: Keeping) -> dict[str, Any]:
    return {
        "attributes": sorted(vars(module)),
        "buffers": {name: (id(b), b.tolist()) for name, b in module.named_buffers()},
        "h": (id(module.h), module.h.tolist()),
        "distribution": (module.distribution.mean, list(module.distribution.asked)),
        "seen": list(module.seen),
        "names": set(module.names),
        "array": module.array.tolist(),
        "table": dict(module.table),
    }


@pytest.mark.parametrize("make", OPERATORS)
def test_everything_that_a_module_keeps(make: Any) -> None:
    torch.manual_seed(0)
    module = Keeping()
    before = kept(module)
    op = make(module)
    parents = torch.stack(2 * [op.network.flatten()])
    expected = op(parents, experiences=torch.ones(4, 3), generator=1)
    assert torch.equal(op(parents, experiences=torch.ones(4, 3), generator=1), expected)
    single = op(parents[0], experiences=torch.ones(4, 3), generator=1)
    assert kept(module) == before
    pickle.loads(pickle.dumps(op))  # nothing is left of a mapped call
    assert op.mutate_(module, experiences=torch.ones(4, 3), generator=1) is module
    assert kept(module) == before
    assert torch.equal(op.network.flatten(module), single)
    copy.deepcopy(module)


def test_a_failing_pass_leaves_nothing_either() -> None:
    module = Keeping()
    before = kept(module)
    op = SMGSum(module, sigma=0.1)
    with pytest.raises(ValueError):
        op.mutate_(module, experiences=torch.ones(4, 5), generator=1)
    assert kept(module) == before


def test_copies_of_what_deepcopy_refuses() -> None:
    module = Keeping()
    module(torch.ones(4, 3))
    with pytest.raises(RuntimeError, match="deepcopy protocol"):
        copy.deepcopy(module)
    other = copy_module(module)
    assert other.h is other.distribution.mean  # one tensor stays one
    assert other.h is not module.h
    assert not other.h.requires_grad
    assert torch.equal(other.h, module.h)
    assert other.layer.weight.requires_grad


def test_a_state_can_be_restored_again_and_again() -> None:
    module = Keeping()
    before = kept(module)
    state = ModuleState(module)
    for _ in range(3):
        module(torch.ones(4, 3))
        assert kept(module) != before
        state.restore()
        assert kept(module) == before


class Recurrent(nn.Module):
    """A policy that remembers its last hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head, self.h = nn.GRUCell(3, 4), nn.Linear(4, 2), None

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        return self.head(self.h)


def after_reset(module: nn.Module, x: Tensor) -> Tensor:
    module.h = None
    return module(x)


def test_a_policy_with_a_hidden_state() -> None:
    """Refused as it is, and right with a forward that resets it, whatever state it is in."""
    torch.manual_seed(0)
    module = Recurrent()
    x = torch.rand(4, 3)
    with pytest.raises(ValueError, match="resets the state first"):
        SMGSum(module, sigma=0.1)(FlatNetwork(module).flatten(), experiences=x, generator=1)
    op = SMGSum(FlatNetwork(module, forward=after_reset), sigma=0.1)
    expected = op.sensitivity(op.network.flatten(), experiences=x)
    module(torch.ones(1, 3))
    state = module.h
    other = SMGSum(FlatNetwork(module, forward=after_reset), sigma=0.1)
    assert torch.equal(other.sensitivity(op.network.flatten(), experiences=x), expected)
    other.mutate_(module, experiences=x, generator=1)
    assert module.h is state


def test_weights_that_do_not_reach_the_outputs() -> None:
    class ActorCritic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.actor, self.critic = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 1)
            self.log_std = nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.body(x))
            self.critic(hidden)
            return self.actor(hidden)

    network = FlatNetwork(ActorCritic())
    x = torch.rand(5, 3)
    reaching = network.reaching(x)
    assert torch.equal(reaching, network.mask("body.*", "actor.*"))
    op = SMGSum(network, sigma=0.1, mask=reaching)
    parent = network.flatten()
    child = op(parent, experiences=x, generator=1)
    assert op.plan.unreached == ("log_std", "critic.weight", "critic.bias")
    assert torch.equal(child[~reaching], parent[~reaching])
    assert (child != parent)[reaching].all()


def pruned() -> nn.Module:
    layer: nn.Module = nn.Linear(6, 8)
    return prune.l1_unstructured(layer, "weight", amount=0.3)


def written_to_by_a_hook() -> nn.Module:
    layer = nn.Linear(6, 8)
    layer.register_forward_pre_hook(lambda layer, _: setattr(layer, "twice", 2 * layer.weight))
    return layer


# Each sets a plain attribute of one of torch's own layers in every forward pass.
HOOKED = {
    "pruned": pruned,
    "spectral norm": lambda: nn.utils.spectral_norm(nn.Linear(6, 8)),
    "weight norm": lambda: nn.utils.weight_norm(nn.Linear(6, 8)),
    "a hook of one's own": written_to_by_a_hook,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("kind", HOOKED)
@pytest.mark.parametrize("make", OPERATORS)
def test_attributes_that_hooks_set_in_torchs_own_layers(kind: str, make: Any) -> None:
    torch.manual_seed(0)
    policy = nn.Sequential(HOOKED[kind](), nn.Tanh(), nn.Linear(8, 2)).eval()
    x = torch.rand(20, 6)
    network = FlatNetwork(policy)
    op = make(network)
    parents = torch.stack([network.flatten()] * 3)
    for parent in (parents, parents[:1], parents[0]):
        op(parent, experiences=x, generator=1, return_info=True)
        copy.deepcopy(op)
        if kind != "a hook of one's own":  # which is no function that pickle can name
            pickle.loads(pickle.dumps(op))
        champion = network.to_module(parents[0])
        assert champion[0].weight.shape == (8, 6)
        torch.testing.assert_close(champion(x), policy(x))
    attributes = dict(vars(policy[0]))
    op.mutate_(policy, experiences=x, generator=1)
    assert vars(policy[0]).keys() == attributes.keys()
    assert all(one is attributes[name] for name, one in vars(policy[0]).items())
