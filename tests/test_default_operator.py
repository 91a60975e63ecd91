"""The default operator: what it promises, and that it knows nothing of the network."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import SMGSO, FlatNetwork, SafeMutation

SEEN = np.random.default_rng(0).normal(size=(12, 3))


def deep():
    layers = [layer for _ in range(8) for layer in (nn.Linear(3, 3), nn.SELU())]
    return nn.Sequential(*layers, nn.Linear(3, 2), nn.Sigmoid())


def logits():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


NETWORKS = {
    "deep": deep,
    "probabilities of logits": lambda: nn.Sequential(logits(), nn.Softmax(-1)),
    "wide": lambda: nn.Sequential(nn.Linear(3, 200), nn.ReLU(), nn.Linear(200, 2), nn.Tanh()),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_with_nothing_but_experiences_a_child_is_as_far_as_promised(kind):
    torch.manual_seed(1)
    module = NETWORKS[kind]()
    network = FlatNetwork(module)
    parents = np.stack([network.flatten(NETWORKS[kind]()).numpy() for _ in range(4)])
    children = SafeMutation(module)(parents, experiences=SEEN.astype(np.float32), generator=1)
    for parent, child in zip(parents, children, strict=True):  # one by one, in double precision
        outputs = []
        for genome in (parent, child):
            own = network.to_module(genome).double()
            outputs.append(np.stack([own(torch.from_numpy(x)[None])[0].detach().numpy() for x in SEEN]))
        reached = ((outputs[0] - outputs[1]) ** 2).sum(1).mean()
        assert reached == pytest.approx(0.03, rel=0.26)


def test_the_scale_of_the_weights_cancels():
    torch.manual_seed(0)
    network = FlatNetwork(deep().double())

    def scaled(params, inputs):
        return network(100 * params, inputs)

    parent = network.flatten().numpy()
    child = SafeMutation(network)(parent, experiences=SEEN, generator=3)
    other = SafeMutation(scaled)(parent / 100, experiences=SEEN, generator=3)
    np.testing.assert_allclose(100 * other, child, rtol=1e-9, atol=1e-12)


def test_it_goes_in_the_direction_of_sm_g_so():
    module = deep()
    parent = FlatNetwork(module).flatten().numpy()
    seen = SEEN.astype(np.float32)
    child = SafeMutation(module)(parent, experiences=seen, generator=5)
    same = SMGSO(module, divergence=0.03, tolerance=0.25)(parent, experiences=seen, generator=5)
    near = SMGSO(module, divergence=0.001)(parent, experiences=seen, generator=5)
    np.testing.assert_array_equal(child, same)
    cosine = (child - parent) @ (near - parent)
    cosine /= np.linalg.norm(child - parent) * np.linalg.norm(near - parent)
    assert cosine == pytest.approx(1, abs=1e-5)


def test_a_module_in_place_and_a_copy_by_pickle():
    policy = logits()
    squashed = nn.Sequential(policy, nn.Softmax(-1))  # has the policy's weights
    before, seen = policy[0].weight.detach().clone(), torch.from_numpy(SEEN).float()
    op = SafeMutation(squashed)
    copy = pickle.loads(pickle.dumps(op))
    expected = copy(FlatNetwork(squashed).flatten(), experiences=seen, generator=1)
    op.mutate_(squashed, experiences=seen, generator=1)
    assert not torch.equal(before, policy[0].weight)
    torch.testing.assert_close(FlatNetwork(squashed).flatten(), expected, rtol=0, atol=0)


def test_a_sigma_belongs_to_the_other_operators():
    with pytest.raises(ValueError, match=r"expected either sigma or divergence, got sigma=0.1 and diverg"):
        SafeMutation(deep(), sigma=0.1)
    with pytest.raises(ValueError, match="expected divergence to be a positive number, got -1"):
        SafeMutation(deep(), divergence=-1)


def test_a_search_runs_the_parents_once():
    network, runs = FlatNetwork(deep()), []

    def counted(params, inputs):
        runs.append(params.detach())
        return network(params, inputs)

    parents = np.stack([network.flatten(deep()).numpy() for _ in range(5)])
    op = SafeMutation(counted, chunk_size=2)
    op(parents, experiences=SEEN.astype(np.float32), generator=1)  # finds out how to compute the network
    runs.clear()
    children, info = op(parents, experiences=SEEN.astype(np.float32), generator=1, return_info=True)
    own = sum(torch.equal(run, torch.from_numpy(parents[:2])) for run in runs)
    assert own == 2  # for the gradient, and beside the tangent in forward mode
    other = SafeMutation(network)(parents, experiences=SEEN.astype(np.float32), generator=1)
    np.testing.assert_allclose(children, other, rtol=1e-4, atol=1e-6)
    assert info.status == ["converged"] * 5
