"""Sensitivities of every kind of network against a naive loop over experiences and outputs, in float64."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, Kind, naive_jacobian
from safe_mutation import FlatNetwork, SMGAbs, SMGRms, linear_shortcut, per_experience, sensitivity
from safe_mutation.batched_network import planned
from safe_mutation.experiences import map_leaves
from safe_mutation.tangent import METHODS, central_difference

PARENTS, EXPERIENCES = 3, 5


class Case:
    """A kind of network with parents, experiences of their own, and their Jacobians (N, R, K, P)."""

    def __init__(self, kind: Kind) -> None:
        self.network = kind.network()
        self.params = kind.genomes(PARENTS)
        sets = [kind.experiences(EXPERIENCES, torch.Generator().manual_seed(seed)) for seed in range(PARENTS)]
        self.inputs = stack(sets)
        self.jacobian = torch.stack(
            [naive_jacobian(self.network, w, x) for w, x in zip(self.params, sets, strict=True)]
        )
        self.direction = torch.randn(
            self.params.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64
        )


def stack(sets: list) -> object:
    if isinstance(sets[0], dict):
        return {key: torch.stack([one[key] for one in sets]) for key in sets[0]}
    return torch.stack(sets)


_cases: dict[str, Case] = {}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def case(request: pytest.FixtureRequest) -> Case:
    kind = request.param
    if kind.name not in _cases:
        _cases[kind.name] = Case(kind)
    return _cases[kind.name]


def assert_close(measured: Tensor, expected: Tensor) -> None:
    """Agree to 1e-9 of the largest entry, and to 1e-7 of every single one that rounding does not swamp."""
    assert measured.shape == expected.shape
    assert expected.abs().max() > 0
    torch.testing.assert_close(measured, expected, rtol=1e-7, atol=1e-9 * float(expected.abs().max()))


def test_sum(case: Case) -> None:
    measured = sensitivity.summed(case.network, case.params, case.inputs)
    assert_close(measured, case.jacobian.sum(1).square().sum(1).sqrt())


def test_root_mean_square(case: Case) -> None:
    measured = sensitivity.root_mean_square(case.network, case.params, case.inputs)
    assert_close(measured, case.jacobian.square().mean(1).sum(1).sqrt())


def test_root_mean_square_by_random_signs(case: Case) -> None:
    """Unbiased: the mean over many probes comes as near as their number lets it."""
    expected = case.jacobian.square().mean(1).sum(1)[:1]
    generator = torch.Generator().manual_seed(0)
    probes = 500

    def draw(parents: range, rows: int, outputs: int) -> Tensor:
        return torch.randint(2, (probes, len(parents), rows, outputs), generator=generator).mul_(2).sub_(1)

    one = map_leaves(lambda x: x[:1], case.inputs)
    measured = sensitivity.root_mean_square(case.network, case.params[:1], one, signs=draw).square()
    # The relative deviation of a probe is at most sqrt(2): four standard errors of the mean.
    allowed = 4 * (2 / probes) ** 0.5 * expected + 1e-12
    assert ((measured - expected).abs() <= allowed).double().mean() > 0.999


def test_abs(case: Case) -> None:
    measured = sensitivity.absolute(case.network, case.params, case.inputs)
    assert_close(measured, case.jacobian.abs().mean(1).square().sum(1).sqrt())


def hessian_product(case: Case) -> Tensor:
    """H v with H = 2/R J'J, from the naive Jacobian."""
    rows = case.jacobian.flatten(1, 2)
    along = torch.einsum("nrp,np->nr", rows, case.direction)
    return 2 / case.jacobian.shape[1] * torch.einsum("nrp,nr->np", rows, along)


def test_second_order(case: Case) -> None:
    measured = sensitivity.second_order(case.network, case.params, case.inputs, case.direction)
    assert_close(measured.square(), hessian_product(case).abs())


@pytest.mark.parametrize("function", [sensitivity.summed, sensitivity.absolute, sensitivity.second_order])
@pytest.mark.parametrize("chunk_size", [1, 2])
def test_chunks_do_not_change_the_result(case: Case, function, chunk_size: int) -> None:
    direction = [case.direction] if function is sensitivity.second_order else []
    whole = function(case.network, case.params, case.inputs, *direction)
    parts = function(case.network, case.params, case.inputs, *direction, chunk_size=chunk_size)
    if direction:  # the root of a product that rounds to almost zero
        torch.testing.assert_close(parts.square(), whole.square(), rtol=1e-7, atol=1e-13)
    else:
        torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-12)


def test_a_batch_equals_single_parents(case: Case) -> None:
    network, params = case.network, case.params
    for n in range(PARENTS):
        one = slice(n, n + 1)
        alone = map_leaves(lambda x, one=one: x[one], case.inputs)
        for function in (sensitivity.summed, sensitivity.absolute):
            together = function(network, params, case.inputs)[one]
            torch.testing.assert_close(function(network, params[one], alone), together, rtol=1e-9, atol=1e-12)
        together = sensitivity.second_order(network, params, case.inputs, case.direction)[one]
        single = sensitivity.second_order(network, params[one], alone, case.direction[one])
        torch.testing.assert_close(single.square(), together.square(), rtol=1e-7, atol=1e-11)


def test_every_way_to_per_experience_gradients(case: Case) -> None:
    """Each way that torch can do for a module, in chunks of one, a few, and all gradients."""
    if not isinstance(case.network, FlatNetwork):
        return  # functions have a way of their own: test_abs
    one = map_leaves(lambda x: x[0], case.inputs)
    for name, method in per_experience.METHODS.items():
        for gradients in (1, 3, 1000):
            try:
                sums, rows = method(case.network, case.params[0], one, None, 1, gradients)
            except Exception:
                assert name != "one by one"
                continue  # torch cannot map this module
            assert rows == case.jacobian.shape[1]
            assert_close(sums / rows, case.jacobian[0].abs().mean(0))


def test_every_way_to_the_tangent(case: Case) -> None:
    """Each way for which torch has rules; the difference always."""
    expected = torch.einsum("nrkp,np->nrk", case.jacobian, case.direction)
    exact = 0
    for name, method in METHODS.items():
        if name == "central difference":
            continue
        try:
            measured = method(case.network, case.params, case.direction, case.inputs)
        except (RuntimeError, ValueError):
            continue  # torch has no such rule for a layer of this network
        assert_close(measured, expected)
        exact += 1
    assert exact > 0
    measured = central_difference(case.network, case.params, case.direction, case.inputs)
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def drawn(genomes: tuple[int, ...], experiences: tuple[int, ...]) -> list[Tensor]:
    """Random genomes, experiences and directions, float64."""
    generator = torch.Generator().manual_seed(3)
    shapes = (genomes, experiences, genomes)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_second_order_is_the_hessian_of_the_divergence() -> None:
    """Equation 1 differentiated twice by autograd, for a network written out here."""
    params, inputs, direction = drawn((1, 17), (1, 6, 2))

    def network(w: Tensor, x: Tensor) -> Tensor:
        hidden = torch.tanh(x @ w[:, :6].view(-1, 2, 3) + w[:, None, 6:9])
        return torch.sigmoid(hidden @ w[:, 9:15].view(-1, 3, 2) + w[:, None, 15:17])

    base = network(params, inputs).detach()

    def divergence(delta: Tensor) -> Tensor:
        return (network(params + delta, inputs) - base).square().sum(2).mean(1).sum()

    hessian = torch.autograd.functional.hessian(divergence, torch.zeros_like(params)).view(17, 17)
    measured = sensitivity.second_order(network, params, inputs, direction)
    assert_close(measured[0].square(), (hessian @ direction[0]).abs())


class OnceDifferentiable(torch.autograd.Function):
    """tanh with neither a forward-mode rule nor a second derivative."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(torch.tanh(x))
        return torch.tanh(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradient * (1 - y * y)


def test_second_order_falls_back_on_a_difference_and_says_so() -> None:
    params, inputs, direction = drawn((2, 6), (2, 5, 3))

    def once(w: Tensor, x: Tensor) -> Tensor:
        return OnceDifferentiable.apply(x @ w.view(-1, 3, 2))

    with pytest.warns(RuntimeWarning, match="central difference"):
        measured = sensitivity.second_order(once, params, inputs, direction)
    expected = sensitivity.second_order(
        lambda w, x: torch.tanh(x @ w.view(-1, 3, 2)), params, inputs, direction
    )
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-6)
    network = planned(once)
    with pytest.warns(RuntimeWarning, match="central difference"):
        sensitivity.second_order(network, params, inputs, direction)
    sensitivity.second_order(network, params, inputs, direction)  # it says so once


def test_divergence_is_equation_1() -> None:
    def network(w: Tensor, x: Tensor) -> Tensor:
        return w[:, None, :2] * x

    inputs = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    measured = sensitivity.divergence(network, torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.0]]), inputs)
    assert measured.tolist() == [(1 + 4 + 9 + 16) / 2]  # the mean over experiences, the sum over outputs


def test_tiny_gradients_do_not_vanish_in_squares() -> None:
    def network(w: Tensor, x: Tensor) -> Tensor:
        return 1e-30 * w[:, None, :] * x

    params, inputs = torch.ones(1, 2), torch.ones(1, 3, 2)
    assert sensitivity.summed(network, params, inputs).min() > 2e-30
    assert sensitivity.absolute(network, params, inputs).min() > 0.9e-30


def test_an_unused_weight_has_no_sensitivity() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module.register_parameter("unused", nn.Parameter(torch.ones(3)))
    network = FlatNetwork(module)
    params, inputs = network.flatten()[None], torch.ones(1, 4, 2)
    unused = network.mask("unused")
    for function in (sensitivity.summed, sensitivity.absolute):
        measured = function(network, params, inputs)[0]
        assert torch.all(measured[unused] == 0)
        assert torch.all(measured[~unused] > 0)


def test_the_kinds_take_the_ways_they_are_meant_to() -> None:
    """Linear networks by the shortcut, alone and in a batch; recurrent and tied weights never."""
    ways = {}
    for kind in KINDS:
        network, params = planned(kind.network()), kind.genomes(2)
        inputs = kind.experiences(4, torch.Generator().manual_seed(0))
        inputs = map_leaves(lambda x: x.expand(2, *x.shape), inputs)
        ways[kind.name] = linear_shortcut.is_exact(network, params, inputs)
    linear = {"MLP", "residual MLP", "frozen weights", "batched function, linear layers"}
    assert {name for name, exact in ways.items() if exact} == linear


@pytest.mark.parametrize(("outputs", "experiences", "chunk_size"), [(2, 2, None), (3, 3, None), (4, 12, 16)])
@pytest.mark.parametrize("kind", [SMGAbs, partial(SMGRms, probes=None)])
def test_gradients_are_right_where_as_many_are_mapped_as_there_are_outputs(
    kind, outputs: int, experiences: int, chunk_size: int | None
) -> None:
    """Torch's rule for prelu takes one axis for the other there, and fails with other numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(8, 20), nn.PReLU(), nn.Linear(20, outputs)).double()
        inputs = torch.randn(experiences, 8, dtype=torch.float64)
    parameters = list(module.parameters())
    gradients = [
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(module(x[None])[0, k], parameters)])
            for k in range(outputs)
        ]
        for x in inputs
    ]
    jacobian = torch.stack([torch.stack(one) for one in gradients])
    power = 1 if kind is SMGAbs else 2
    expected = jacobian.abs().pow(power).mean(0)
    expected = expected.square().sum(0).sqrt() if power == 1 else expected.sum(0).sqrt()
    network = FlatNetwork(module)
    found = kind(network, sigma=0.1, chunk_size=chunk_size).sensitivity(
        network.flatten(module), experiences=inputs
    )
    torch.testing.assert_close(found, expected)
