"""Safe crossover: the merge against loops over weights, what it promises, and lessons against plain Adam."""

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, naive_jacobian
from safe_mutation import DistillationCrossover, FisherCrossover, FlatNetwork

KIND = KINDS[0]
NETWORK = KIND.network()
PARENTS, OTHERS = KIND.genomes(6)[:3], KIND.genomes(6)[3:]
SEEN, SEEN_BY_OTHERS = (KIND.experiences(number, torch.Generator().manual_seed(number)) for number in (7, 9))
CALL = {"experiences": (SEEN, SEEN_BY_OTHERS), "generator": 1}
BOTH = [FisherCrossover(NETWORK, divergence=0.01), DistillationCrossover(NETWORK, steps=3)]
both = pytest.mark.parametrize("op", BOTH, ids=["Fisher", "distillation"])


def equation_1(network, one: Tensor, other: Tensor, experiences: Tensor) -> float:
    """One experience after the other."""
    total = 0.0
    for x in experiences:
        total += float((network(one, x[None]) - network(other, x[None])).double().square().sum())
    return total / len(experiences)


def linear(params: Tensor, x: Tensor) -> Tensor:
    """One output, the sum of w x."""
    return (params[:, None] * x).sum(2, keepdim=True)


# The merge


def test_the_merge_is_the_mean_weighted_by_squared_sensitivities() -> None:
    children = FisherCrossover(NETWORK, probes=None)(PARENTS, OTHERS, **CALL)
    for a, b, child in zip(PARENTS, OTHERS, children, strict=True):
        expected = np.empty(len(a))
        jacobians = [naive_jacobian(NETWORK, w, x).numpy() for w, x in ((a, SEEN), (b, SEEN_BY_OTHERS))]
        for w in range(len(a)):
            precision = [0.0, 0.0]
            for parent, jacobian in enumerate(jacobians):
                for row in jacobian:
                    for output in row:
                        precision[parent] += output[w] ** 2 / len(jacobian)
            expected[w] = (precision[0] * a[w] + precision[1] * b[w]) / sum(precision)
        np.testing.assert_allclose(child, expected, rtol=1e-9)


def test_what_matters_to_one_parent_only_is_its_own() -> None:
    """The first has met no x but those of weights 0 and 1, the second none but that of weight 2."""
    a, b = np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8])
    seen = (np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]]), np.array([[0, 0, 2.0, 0]]))
    child, info = FisherCrossover(linear)(a, b, experiences=seen, return_info=True)
    np.testing.assert_array_equal(child, [1, 2, 7, 6])  # the last matters to neither: the mean
    assert (info.divergence, info.other_divergence, info.share) == (0, 0, 1)


def test_chance_does_not_tell_parents_apart_that_are_alike() -> None:
    """Recurrent: sensitivities are estimated, from the same random signs for both."""
    kind = KINDS[11]
    parents, seen = kind.genomes(3), kind.experiences(5, torch.Generator().manual_seed(0))
    siblings = parents + 1e-6 * torch.randn(parents.shape, generator=torch.Generator()).double()
    children = FisherCrossover(kind.network(), probes=1)(parents, siblings, experiences=(seen, seen))
    shares = (children - parents) / (siblings - parents)
    assert (shares - 0.5).abs().median() < 1e-3


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_scale_of_the_outputs_does_not_matter(factor: float) -> None:
    def scaled(params: Tensor, x: Tensor) -> Tensor:
        return factor * NETWORK(params, x)

    expected = FisherCrossover(NETWORK)(PARENTS.float(), OTHERS.float(), **CALL)
    found = FisherCrossover(scaled)(PARENTS.float(), OTHERS.float(), **CALL)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [KINDS[7], KINDS[11]], ids=lambda kind: kind.name)
def test_other_networks(kind) -> None:
    """Convolutions, one genome after the other, and a recurrent layer, whose sensitivities are estimated."""
    network, genomes = kind.network(), kind.genomes(4)
    seen = kind.experiences(5, torch.Generator().manual_seed(0))
    for op in (FisherCrossover(network, divergence=1e-3), DistillationCrossover(network, steps=3)):
        children, info = op(
            genomes[:2], genomes[2:], experiences=(seen, seen), generator=[1, 2], return_info=True
        )
        assert children.shape == (2, genomes.shape[1])
        assert (info.divergence >= 0).all()
        alone = op(genomes[1], genomes[3], experiences=(seen, seen), generator=2)
        torch.testing.assert_close(alone, children[1], rtol=1e-6, atol=1e-9)


# No further than is safe


@pytest.mark.parametrize("wanted", [1e-6, 1e-3, 0.01])
def test_children_diverge_no_further_than_asked(wanted: float) -> None:
    merge = FisherCrossover(NETWORK)(PARENTS, OTHERS, **CALL)
    op = FisherCrossover(NETWORK, divergence=wanted)
    children, info = op(PARENTS, OTHERS, **CALL, return_info=True)
    for n, (a, b, child) in enumerate(zip(PARENTS, OTHERS, children, strict=True)):
        reached = equation_1(NETWORK, a, child, SEEN)
        assert info.divergence[n] == pytest.approx(reached, rel=1e-9)
        assert info.other_divergence[n] == pytest.approx(
            equation_1(NETWORK, b, child, SEEN_BY_OTHERS), rel=1e-9
        )
        torch.testing.assert_close(child, a + info.share[n] * (merge[n] - a))
        if equation_1(NETWORK, a, merge[n], SEEN) > wanted:
            assert reached == pytest.approx(wanted, rel=0.1)
            assert info.share[n] < 1
        else:
            assert reached <= wanted and info.share[n] == 1
    assert 0 < info.forward_passes < 15


def test_a_merge_that_diverges_less_is_the_child() -> None:
    merge, free = FisherCrossover(NETWORK)(PARENTS, OTHERS, **CALL, return_info=True)
    limit = float(free.divergence.max()) * 1.001
    children, info = FisherCrossover(NETWORK, divergence=limit)(PARENTS, OTHERS, **CALL, return_info=True)
    assert torch.equal(children, merge)
    assert info.share.tolist() == [1, 1, 1]
    few = FisherCrossover(NETWORK, divergence=float(free.divergence.median()))
    _, info = few(PARENTS, OTHERS, **CALL, return_info=True)
    assert sorted(info.share == 1) == [False, True, True]


def test_a_merge_whose_outputs_are_not_finite_is_not_reached() -> None:
    def network(params: Tensor, x: Tensor) -> Tensor:
        w = params[:, None, :1]
        return torch.where((w - 3).abs() > 0.5, w * x, torch.inf)  # not between the parents

    a, b, seen = np.array([1.0]), np.array([5.0]), np.array([[1.0]])
    child, info = FisherCrossover(network, divergence=0.25)(a, b, experiences=(seen, seen), return_info=True)
    assert child[0] == pytest.approx(1.5, rel=0.03)
    assert 0 < info.share < 1


def test_parents_that_are_one_and_the_same_have_that_child() -> None:
    for op in BOTH:
        children, info = op(PARENTS, PARENTS, experiences=(SEEN, SEEN), return_info=True)
        torch.testing.assert_close(children, PARENTS, rtol=1e-12, atol=0)
        assert info.divergence.max() < 1e-20


# Lessons


@pytest.mark.parametrize("start", ["mean", "first"])
def test_lessons_equal_plain_gradient_descent(start: str) -> None:
    op = DistillationCrossover(NETWORK, steps=20, learning_rate=0.02, start=start)
    children, info = op(PARENTS, OTHERS, **CALL, return_info=True)
    for n, (a, b) in enumerate(zip(PARENTS, OTHERS, strict=True)):
        child = nn.Parameter(((a + b) / 2 if start == "mean" else a).clone())
        optimizer = torch.optim.Adam([child], lr=0.02)
        for _ in range(20):
            optimizer.zero_grad()
            loss = torch.zeros((), dtype=torch.float64)
            for teacher, seen in ((a, SEEN), (b, SEEN_BY_OTHERS)):
                for x in seen:
                    wanted = NETWORK(teacher, x[None]).detach()
                    loss = loss + (NETWORK(child, x[None]) - wanted).square().sum() / len(seen)
            loss.backward()
            optimizer.step()
        torch.testing.assert_close(children[n], child.detach(), rtol=1e-6, atol=1e-8)
        assert info.divergence[n] == pytest.approx(equation_1(NETWORK, a, child.detach(), SEEN), rel=1e-5)
    assert info.share is None


def test_a_child_learns_from_both_what_they_have_seen() -> None:
    a, b = np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8])
    seen = (np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]]), np.array([[0, 0, 2.0, 0]]))
    child = DistillationCrossover(linear, steps=500, learning_rate=0.05)(a, b, experiences=seen)
    np.testing.assert_allclose(child, [1, 2, 7, 6], atol=1e-3)


# Calls


@both
def test_a_batch_equals_single_calls(op) -> None:
    children = op(PARENTS, OTHERS, **(CALL | {"generator": [1, 2, 3]}))
    for n in range(3):
        alone = op(PARENTS[n], OTHERS[n], **(CALL | {"generator": 1 + n}))
        torch.testing.assert_close(alone, children[n], rtol=1e-9, atol=1e-12)


@both
def test_parents_may_bring_their_own_experiences(op) -> None:
    each = (torch.stack([SEEN, 2 * SEEN, 3 * SEEN]), [SEEN_BY_OTHERS[:n] for n in (1, 4, 9)])
    children = op(PARENTS, OTHERS, experiences=each, per_parent=True, generator=1)
    for n in range(3):
        alone = op(PARENTS[n], OTHERS[n], experiences=(each[0][n], each[1][n]), generator=1)
        torch.testing.assert_close(alone, children[n], rtol=1e-6, atol=1e-9)


@both
def test_arrays_come_back_as_they_went_in_and_untouched(op) -> None:
    for convert in (lambda x: x.numpy().astype(np.float32), lambda x: x.float(), lambda x: x.bfloat16()):
        parents, others = convert(PARENTS), convert(OTHERS)
        copies = [np.array(x) if isinstance(x, np.ndarray) else x.clone() for x in (parents, others)]
        children, info = op(
            parents, others, experiences=(SEEN.float(), SEEN_BY_OTHERS.float()), return_info=True
        )
        assert type(children) is type(parents) and children.dtype == parents.dtype
        assert type(info.divergence) is type(parents)
        assert all((x == y).all() for x, y in zip((parents, others), copies, strict=True))
        children[:] = 0
        assert (parents == copies[0]).all()
    single = op(PARENTS[0], OTHERS[0], **CALL, return_info=True)
    assert single[0].shape == PARENTS[0].shape and isinstance(single[1].divergence, float)


@both
def test_it_survives_pickling_and_a_module_is_left_alone(op) -> None:
    again = pickle.loads(pickle.dumps(op))
    torch.testing.assert_close(again(PARENTS, OTHERS, **CALL), op(PARENTS, OTHERS, **CALL))


@both
def test_more_experiences_than_are_used_are_drawn_from(op) -> None:
    few = type(op)(NETWORK, max_experiences=3)
    same = [few(PARENTS, OTHERS, **CALL), few(PARENTS, OTHERS, **CALL)]
    other = few(PARENTS, OTHERS, **(CALL | {"generator": 2}))
    assert torch.equal(*same) and not torch.equal(same[0], other)


# Refusals


@both
@pytest.mark.parametrize(
    ("parents", "others", "experiences", "message"),
    [
        (PARENTS, OTHERS[:, :-1], (SEEN, SEEN), r"expected a genome of shape \(N, \d+\), got \(3, \d+\)"),
        (
            PARENTS,
            OTHERS[:2],
            (SEEN, SEEN),
            r"same network, or equally many of both, got .* \(3, \d+\) and \(2",
        ),
        (
            PARENTS,
            OTHERS[0],
            (SEEN, SEEN),
            r"same network, or equally many of both, got genomes of shape \(3, ",
        ),
        (PARENTS, OTHERS, SEEN, "expected experiences as a pair, .* got Tensor"),
        (PARENTS, OTHERS, None, "expected experiences as a pair, .* got NoneType"),
        (PARENTS, OTHERS, (SEEN,), "expected experiences as a pair, .* got 1 of them"),
        (PARENTS, OTHERS, (SEEN, SEEN[:0]), "expected at least one experience"),
        (PARENTS, OTHERS, (SEEN, SEEN[:, :2]), "expected a network that can take genomes"),
        (PARENTS, OTHERS * torch.nan, (SEEN, SEEN), "expected a finite genome"),
    ],
)
def test_bad_calls(op, parents, others, experiences, message) -> None:
    with pytest.raises(ValueError, match=message):
        op(parents, others, experiences=experiences)


def test_parents_of_different_functions() -> None:
    with pytest.raises(ValueError, match=r"same network, .* got genomes of shape \(4,\) and \(3,\)"):
        FisherCrossover(linear)(np.ones(4), np.ones(3), experiences=(np.ones((1, 4)), np.ones((1, 4))))


@both
def test_a_single_pair_has_no_experiences_of_each(op) -> None:
    with pytest.raises(ValueError, match="per_parent=True, got a single pair"):
        op(PARENTS[0], OTHERS[0], experiences=(SEEN[None], SEEN[None]), per_parent=True)


@both
def test_saturated_parents(op) -> None:
    """Sigmoids so far out that their slopes are 0 in float32."""
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()))
    parents = torch.full((2, 8), 50.0)
    parents[0] = 0.1
    seen = torch.ones(4, 3)
    crossover = type(op)(network)
    if isinstance(crossover, DistillationCrossover):
        crossover = DistillationCrossover(network, start="first")
    with pytest.raises(ValueError, match=r"experiences on which outputs react .* pair 1: .* saturated there"):
        crossover(parents, -parents, experiences=(seen, seen))


def test_one_saturated_parent_is_no_obstacle() -> None:
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()))
    a, b, seen = torch.full((8,), 50.0), torch.full((8,), 0.1), torch.ones(4, 3)
    child = FisherCrossover(network)(a, b, experiences=(seen, seen))
    torch.testing.assert_close(child, b)  # which alone reacts


@both
def test_functions_without_gradients(op) -> None:
    with pytest.raises(TypeError, match="differentiable in params"):
        type(op)(lambda params, x: linear(params, x).detach())(
            np.ones(4), np.zeros(4), experiences=(np.ones((1, 4)), np.ones((1, 4)))
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FisherCrossover(NETWORK, divergence=0),
            "expected divergence to be a positive number, got 0",
        ),
        (lambda: FisherCrossover(NETWORK, divergence=-0.1), "expected divergence to be a positive number"),
        (lambda: FisherCrossover(NETWORK, divergence=float("inf")), "expected divergence to be a positive"),
        (lambda: FisherCrossover(NETWORK, probes=0), "expected probes to be an integer of at least 1"),
        (lambda: DistillationCrossover(NETWORK, steps=0), "expected steps to be an integer of at least 1"),
        (lambda: DistillationCrossover(NETWORK, steps=None), "expected steps to be an integer of at least 1"),
        (lambda: DistillationCrossover(NETWORK, learning_rate=-1), "expected learning_rate to be a positive"),
        (
            lambda: DistillationCrossover(NETWORK, start="b"),
            r"start to be one of \('mean', 'first'\), got 'b'",
        ),
    ],
)
def test_settings_out_of_range(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [FisherCrossover, DistillationCrossover])
def test_what_is_no_network(kind) -> None:
    with pytest.raises(TypeError, match="expected network to be callable, got int"):
        kind(3)
