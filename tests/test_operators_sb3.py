"""Policies of stable-baselines3 after learning, mutated for three generations, and as they were otherwise."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SMGAbs, SMGSum
from sb3_kinds import KINDS, recurrent_logits

GENERATIONS = 3


def recurrent_by_library(policy: Any, x: Tensor) -> Tensor:
    """Log-probabilities by the library's own function for sequences."""
    zeros = x.new_zeros(policy.lstm_actor.num_layers, len(x), policy.lstm_actor.hidden_size)
    starts = torch.zeros(x.shape[:2], dtype=x.dtype).flatten()
    distribution, _ = policy.get_distribution(x.flatten(0, 1), (zeros, zeros), starts)
    return distribution.distribution.logits.unflatten(0, x.shape[:2])


@pytest.fixture(params=KINDS, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[Any, Any, Tensor]:
    make, forward, shape = KINDS[request.param]
    experiences = torch.rand(7, *shape, generator=torch.Generator().manual_seed(0))
    return make(), forward, experiences


def operators(network: FlatNetwork, mask: Tensor) -> list[Any]:
    return [
        GaussianMutation(network, sigma=0.05, mask=mask),
        SMR(network, divergence=1e-3, mask=mask),
        SMGSum(network, sigma=0.01, weight_clip=0.1, mask=mask),
        SMGAbs(network, sigma=0.01, weight_clip=0.1, mask=mask),
        SMGSO(network, sigma=0.01, weight_clip=0.1, mask=mask),
    ]


def test_generations(case: tuple[Any, Any, Tensor]) -> None:
    """Each generation mutates a copy of the last, as an evolution of policies does."""
    model, forward, experiences = case
    network = FlatNetwork(model.policy, forward=forward)
    mask = network.reaching(experiences)
    for op in operators(network, mask):
        policy = network.to_module(network.flatten())
        for generation in range(GENERATIONS):
            kid = copy.deepcopy(policy)
            before = {name: value.clone() for name, value in kid.named_buffers()}
            parent = network.flatten(kid)
            expected = op(parent, experiences=experiences, generator=generation)
            assert op.mutate_(kid, experiences=experiences, generator=generation) is kid
            found = network.flatten(kid)
            assert torch.equal(found, expected)
            assert torch.equal(found[~mask], parent[~mask])
            assert not torch.equal(found, parent)
            for name, value in kid.named_buffers():
                assert torch.equal(value, before[name])
            kid.predict(experiences[0].numpy())
            policy = kid
        pickle.loads(pickle.dumps(op))


def test_the_policy_is_left_as_it_was(case: tuple[Any, Any, Tensor]) -> None:
    model, forward, experiences = case
    policy = model.policy
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    actions = model.predict(experiences[0].numpy(), deterministic=True)[0].tolist()
    network = FlatNetwork(policy, forward=forward)
    for op in operators(network, network.reaching(experiences)):
        parents = torch.stack(3 * [network.flatten()])
        op(parents, experiences=experiences, generator=1)
        for name, value in policy.state_dict().items():
            assert torch.equal(value, before[name])
    assert model.predict(experiences[0].numpy(), deterministic=True)[0].tolist() == actions
    distribution = getattr(getattr(policy, "action_dist", None), "distribution", None)
    SMGSum(network, sigma=0.01).mutate_(policy, experiences=experiences, generator=1)
    assert getattr(getattr(policy, "action_dist", None), "distribution", None) is distribution
    network.load_(policy, network.flatten())


def test_sensitivities_are_those_of_the_policy(case: tuple[Any, Any, Tensor]) -> None:
    """Against torch's own gradients of the policy, one backward pass for each output."""
    model, forward, experiences = case
    policy = model.policy
    network = FlatNetwork(policy, forward=forward)
    named = dict(policy.named_parameters())
    outputs = forward(policy, experiences)
    total = 0.0
    for output in outputs.flatten(0, -2).sum(0):
        gradients = torch.autograd.grad(
            output, [named[name] for name in network.names], retain_graph=True, allow_unused=True
        )
        flat = [
            torch.zeros_like(named[name]) if gradient is None else gradient
            for name, gradient in zip(network.names, gradients, strict=True)
        ]
        total = total + torch.cat([g.flatten() for g in flat]) ** 2
    parents = torch.stack(2 * [network.flatten()])
    measured = SMGSum(network, sigma=0.1).sensitivity(parents, experiences=experiences)
    for row in measured:
        torch.testing.assert_close(row, total.sqrt(), rtol=1e-4, atol=1e-5 * float(total.amax().sqrt()))  # type: ignore[attr-defined]


def test_recurrent_policies_by_the_library(case: tuple[Any, Any, Tensor]) -> None:
    """The library's own function for sequences gives the outputs that the sensitivities were taken of."""
    model, forward, experiences = case
    if forward is not recurrent_logits:
        return
    expected = recurrent_by_library(model.policy, experiences)
    torch.testing.assert_close(forward(model.policy, experiences).log_softmax(-1), expected)
