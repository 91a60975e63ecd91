"""Experiences, noise and search draw from streams of their own: none moves another."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch import nn

from safe_mutation import FlatNetwork, GaussianMutation, Mutation, SMGSum, make
from safe_mutation.noise import choose, philox, read_generator, standard_normal
from safe_mutation.operators import OPERATORS


def small_network() -> FlatNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))


NETWORK = small_network()
PARENTS = np.random.default_rng(6).normal(size=(4, NETWORK.num_params))
MANY = np.random.default_rng(5).normal(size=(150, 3))  # more than the 100 that are used
REUSABLE = [op for name in OPERATORS if (op := make(name, NETWORK, intensity=0.01)).reusable_sensitivity]
MAKERS = {
    "seed": lambda: 7,
    "seeds": lambda: [7, 8, 9, 10],
    "Philox": lambda: np.random.Generator(np.random.Philox(1)),
    "PCG64": lambda: np.random.default_rng(1),
    "MT19937": lambda: np.random.Generator(np.random.MT19937(1)),
    "RandomState": lambda: np.random.RandomState(1),
    "random.Random": lambda: random.Random(1),
    "torch": lambda: torch.Generator().manual_seed(1),
    "one of each": lambda: [3, np.random.default_rng(1), random.Random(2), torch.Generator().manual_seed(1)],
    "the same four times": lambda: [np.random.default_rng(1)] * 4,
}
every_generator = pytest.mark.parametrize("make_one", MAKERS.values(), ids=MAKERS.keys())


@every_generator
@pytest.mark.parametrize("op", REUSABLE, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("per_parent", [False, True])
def test_sensitivity_then_call_equals_the_direct_call(op, make_one, per_parent: bool) -> None:
    experiences = np.random.default_rng(2).normal(size=(4, 150, 3)) if per_parent else MANY
    call = {"experiences": experiences, "per_parent": per_parent}
    generator = make_one()
    expected = op(PARENTS, **call, generator=make_one())
    kept = op.sensitivity(PARENTS, **call, generator=generator)
    np.testing.assert_array_equal(op(PARENTS, sensitivity=kept, generator=generator), expected)


@every_generator
def test_sensitivity_leaves_the_generator_as_it_was_and_a_call_moves_it(make_one) -> None:
    op, generator = SMGSum(NETWORK, sigma=0.1), make_one()
    op.sensitivity(PARENTS, experiences=MANY, generator=generator)
    first = op(PARENTS, experiences=MANY, generator=generator)
    np.testing.assert_array_equal(first, op(PARENTS, experiences=MANY, generator=make_one()))
    again = op(PARENTS, experiences=MANY, generator=generator)
    if generator == 7 or generator == [7, 8, 9, 10]:
        np.testing.assert_array_equal(first, again)  # a seed has no state
    else:
        assert not np.array_equal(first, again)


def test_the_noise_does_not_depend_on_the_experiences() -> None:
    """With a sensitivity of 1 everywhere the step is the noise itself, the control's."""
    ones = np.ones_like(PARENTS)
    control = GaussianMutation(sigma=0.1)(PARENTS, generator=3)
    for maximum in (None, 5, 100):
        op = SMGSum(NETWORK, sigma=0.1, max_experiences=maximum)
        children = op(PARENTS, experiences=MANY, sensitivity=ones, generator=3)
        np.testing.assert_array_equal(children, control)


def test_the_four_streams_of_a_key_differ() -> None:
    like = torch.zeros(2, 1000)
    streams = read_generator(7, 2)
    drawn = [
        standard_normal(stream, like).flatten()
        for stream in (streams.noise, streams.experiences, streams.search, streams.probes)
    ]
    correlation = torch.corrcoef(torch.stack(drawn)) - torch.eye(4)
    assert correlation.abs().max() < 0.1
    np.testing.assert_array_equal(standard_normal(streams.noise, like).flatten(), drawn[0])  # starts anew


def test_draws_are_those_of_any_other_machine() -> None:
    """Numbers written down once: all generators but those on a GPU lead to numpy's Philox."""
    generators = [5, np.random.default_rng(5), np.random.RandomState(5), torch.Generator().manual_seed(5)]
    op = GaussianMutation(sigma=1.0)
    drawn = [op(np.zeros(3, np.float32), generator=generator) for generator in generators]
    np.testing.assert_array_equal(drawn, np.array(RECORDED, np.float32))


RECORDED = [
    [-0.7547153234481812, -1.1209664344787598, 0.32037684321403503],
    [0.261152058839798, -0.0091596944257617, -0.8994434475898743],
    [-1.5960606336593628, 1.0845115184783936, -1.0274744033813477],
    [0.31429144740104675, 0.23342135548591614, -0.9629640579223633],
]


@pytest.mark.parametrize("key", [[0, 0], [1, 2**64 - 1], np.array([5, 6], np.uint64)])
def test_a_philox_made_quickly_is_numpys(key) -> None:
    counter = [0, 1, 2**63, 3]
    expected = np.random.Philox(key=np.array(key, np.uint64), counter=np.array(counter, np.uint64))
    made = philox(key, counter)
    np.testing.assert_equal(made.bit_generator.state, expected.state)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.integers(2**63, size=5), made.integers(2**63, size=5))


def test_a_choice_is_without_replacement_and_uniform() -> None:
    stream = read_generator(1, 1).experiences
    assert not isinstance(stream, list)
    counts = np.zeros(10)
    for _ in range(2000):
        chosen = choose(stream, 10, 3).numpy()
        assert len(set(chosen)) == 3
        counts[chosen] += 1
    assert abs(counts / 600 - 1).max() < 0.15


def test_failed_calls_do_not_move_the_generator() -> None:
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match="at least one experience"):
        SMGSum(NETWORK, sigma=0.1)(PARENTS, experiences=MANY[:0], generator=generator)
    assert generator.bit_generator.state == before


# A generator of the operator's own


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_with_a_seed_is_reproducible(name: str) -> None:
    def children(generator) -> list[np.ndarray]:
        op = make(name, NETWORK, intensity=0.01, experiences=MANY, generator=generator)
        return [op(PARENTS) for _ in range(3)]

    first, again = children(5), children(5)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])  # a new mutation each time
    assert not np.array_equal(first, children(6))
    np.testing.assert_array_equal(children(np.random.default_rng(1)), children(np.random.default_rng(1)))
    seeds = iter([11, 12, 13])
    called = children(lambda: next(seeds))
    op = make(name, NETWORK, intensity=0.01, experiences=MANY)
    np.testing.assert_array_equal(called, [op(PARENTS, generator=seed) for seed in (11, 12, 13)])


def test_a_call_may_bring_another_generator() -> None:
    op = SMGSum(NETWORK, sigma=0.1, experiences=MANY, generator=5)
    other = SMGSum(NETWORK, sigma=0.1, experiences=MANY, generator=5)
    np.testing.assert_array_equal(
        op(PARENTS, generator=1), SMGSum(NETWORK, sigma=0.1)(PARENTS, experiences=MANY, generator=1)
    )
    np.testing.assert_array_equal(op(PARENTS), other(PARENTS))  # its own has not moved


def test_mutating_modules_moves_the_operators_own_generator() -> None:
    module = nn.Sequential(nn.Linear(3, 2))
    op: Mutation = GaussianMutation(module, sigma=0.1, generator=5)
    before = [p.detach().clone() for p in module.parameters()]
    op.mutate_(module)
    first = module[0].weight.detach() - before[0]
    middle = module[0].weight.detach().clone()
    op.mutate_(module)
    assert not torch.allclose(first, module[0].weight.detach() - middle)


@pytest.mark.parametrize(
    ("generator", "error", "message"),
    [
        (-1, ValueError, "a seed that is not negative, got -1"),
        ("7", TypeError, "expected generator to be an int, .*, got str"),
        ([1, 2], TypeError, "expected generator to be an int, .*, got list"),
        (
            type("PRNGKeyArray", (), {"__module__": "jax._src.random.prng"})(),  # JAX is not in CI
            TypeError,
            "got a JAX PRNG key: pass an int seed",
        ),
    ],
)
def test_bad_generators_are_refused_at_once(generator, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        GaussianMutation(sigma=0.1, generator=generator)


def test_seed_sequences_are_numpys_independent_seeds() -> None:
    parents = np.zeros((3, 4))
    children = GaussianMutation(sigma=0.1)(parents, generator=np.random.SeedSequence(5).spawn(3))
    for child, seed in zip(children, np.random.SeedSequence(5).spawn(3), strict=True):
        np.testing.assert_array_equal(child, GaussianMutation(sigma=0.1)(parents[0], generator=seed))
    assert len(np.unique(children, axis=0)) == 3
    by_number = [GaussianMutation(sigma=0.1)(parents, generator=seeds) for seeds in (range(3), [0, 1, 2])]
    np.testing.assert_array_equal(*by_number)


def test_an_operators_own_seed_sequence_moves_on() -> None:
    mutate = GaussianMutation(sigma=0.1, generator=np.random.SeedSequence(5))
    first, second = mutate(np.zeros(4)), mutate(np.zeros(4))
    assert not np.array_equal(first, second)
