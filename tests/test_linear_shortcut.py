"""The shortcut for linear layers must never give a wrong number: networks made to mislead it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from safe_mutation import FlatNetwork, linear_shortcut, sensitivity
from safe_mutation.batched_network import planned
from safe_mutation.experiences import take

N, ROWS, IN, OUT = 2, 4, 3, 2
P = IN * OUT


def weight(params: Tensor) -> Tensor:
    return params.view(-1, OUT, IN)


def once(params: Tensor, x: Tensor) -> Tensor:
    return x @ weight(params).mT


def once_feature_major(params: Tensor, x: Tensor) -> Tensor:
    return torch.tanh(weight(params) @ x.mT).mT


def with_added_activation(params: Tensor, x: Tensor) -> Tensor:
    """The summand of baddbmm is no bias but something computed from the weights' outputs."""
    first, second = params.split([3, 3], dim=1)
    hidden = x @ first.view(-1, IN, 1)
    return torch.baddbmm(torch.tanh(hidden), x, second.view(-1, IN, 1))


def twice(params: Tensor, x: Tensor) -> Tensor:
    return x @ weight(params).mT + torch.tanh(x) @ weight(params).mT


def overlapping(params: Tensor, x: Tensor) -> Tensor:
    return x @ params[:, :3, None] + torch.tanh(x) @ params[:, 2:5, None]


def scaled(params: Tensor, x: Tensor) -> Tensor:
    return x @ (2 * weight(params)).mT


def normalised(params: Tensor, x: Tensor) -> Tensor:
    return x @ (weight(params) / weight(params).norm(dim=2, keepdim=True)).mT


def by_einsum(params: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("nix,nox->nio", x, weight(params))


def elementwise(params: Tensor, x: Tensor) -> Tensor:
    return torch.tanh(x * params[:, None, :3])


def sequences_as_rows(params: Tensor, x: Tensor) -> Tensor:
    """Every experience is seen as several rows, whose sum is the output."""
    rows = torch.stack([x, torch.cos(x), -x], 2).flatten(1, 2)
    return torch.tanh(rows @ weight(params).mT).unflatten(1, (-1, 3)).sum(2)


def rows_from_features(params: Tensor, x: Tensor) -> Tensor:
    """With three experiences, a layer over the features could be mistaken for one over experiences."""
    mixed = x.mT.contiguous().mT
    return torch.tanh(mixed @ params[:, :3].view(-1, 3, 1)) * params[:, 3:5].unsqueeze(1)


def shared_bias(params: Tensor, x: Tensor) -> Tensor:
    """One bias for all units."""
    return torch.tanh(x[:, :, :2] + params[:, :1, None])


def repeated(params: Tensor, x: Tensor) -> Tensor:
    """One row of weights for both units."""
    return torch.tanh(x[:, :, :2]) * (x @ params[:, None, :3].expand(-1, 2, 3).mT)


def coupled(params: Tensor, x: Tensor) -> Tensor:
    """Experiences are normalised by one another, as batch normalisation does."""
    hidden = x @ weight(params).mT
    return torch.tanh(hidden - hidden.mean(1, keepdim=True) + x[:, :, :2])


def concatenated(params: Tensor, x: Tensor) -> Tensor:
    first, second = params.split([2, 4], dim=1)
    return x @ torch.cat([first, second], 1).view(-1, IN, OUT)


def half_detached(params: Tensor, x: Tensor) -> Tensor:
    return x @ weight(params).mT + torch.tanh(x @ weight(params).detach().mT)


def behind_numpy_indices(params: Tensor, x: Tensor) -> Tensor:
    return x @ params[:, torch.tensor([0, 2, 4])][:, :, None]


def copied_by_reshape(params: Tensor, x: Tensor) -> Tensor:
    """A reshape that cannot be a view."""
    return x @ weight(params).mT.reshape(len(params), -1).unflatten(1, (IN, OUT))


def weighted_summand(params: Tensor, x: Tensor) -> Tensor:
    first, second = params.split([4, 2], dim=1)
    return torch.baddbmm(second[:, None], x[:, :, :2], first.view(-1, 2, 2), beta=0.5, alpha=2)


class Plain(torch.autograd.Function):
    """x @ w with its own backward pass, of which a watcher of torch calls sees nothing."""

    @staticmethod
    def forward(ctx, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, w = ctx.saved_tensors
        return gradient @ w.mT, x.mT @ gradient


def behind_autograd_function(params: Tensor, x: Tensor) -> Tensor:
    """Positive inputs: the gradients of all experiences agree in sign, so that sums look right."""
    return Plain.apply(x.abs(), weight(params).mT)


def one_after_the_other(params: Tensor, x: Tensor) -> Tensor:
    return torch.stack([row @ w.view(OUT, IN).T for row, w in zip(x, params, strict=True)])


def outputs_over_time(params: Tensor, x: Tensor) -> Tensor:
    y = x @ weight(params).mT
    return torch.stack([y, torch.tanh(y)], 2)


EXACT = [once, once_feature_major, with_added_activation]
MISLEADING = [
    twice, overlapping, scaled, normalised, by_einsum, elementwise, sequences_as_rows, rows_from_features,
    shared_bias, repeated, concatenated, half_detached, behind_numpy_indices, behind_autograd_function,
    one_after_the_other, outputs_over_time, copied_by_reshape, weighted_summand,
]  # fmt: skip


def alone(network: Callable[[Tensor, Tensor], Tensor], params: Tensor, inputs: Tensor) -> Tensor:
    """s from gradients of one experience and output at a time, each experience run by itself."""
    sums: dict[int, Tensor] = {}
    rows = 0
    for i in range(inputs.shape[1]):
        leaf = params.clone().requires_grad_()
        outputs = network(leaf, inputs[:, i : i + 1])
        outputs = outputs.flatten(1, 2) if outputs.ndim == 4 else outputs
        rows += outputs.shape[1]
        for t in range(outputs.shape[1]):
            for k in range(outputs.shape[2]):
                (g,) = torch.autograd.grad(outputs[:, t, k].sum(), leaf, retain_graph=True)
                sums[k] = sums.get(k, torch.zeros_like(g)) + g.abs()
    return torch.stack([total / rows for total in sums.values()]).square().sum(0).sqrt()


@pytest.mark.parametrize("network", EXACT + MISLEADING, ids=lambda function: function.__name__)
@pytest.mark.parametrize("experiences", [1, 2, 3, ROWS])
@pytest.mark.parametrize("parents", [1, N])
def test_never_a_wrong_number(network, experiences: int, parents: int) -> None:
    generator = torch.Generator().manual_seed(experiences)
    params = torch.randn(parents, P, generator=generator, dtype=torch.float64)
    inputs = torch.randn(parents, experiences, IN, generator=generator, dtype=torch.float64)
    known = planned(network)
    for _ in range(2):  # the second time the verdict is remembered
        measured = sensitivity.absolute(known, params, inputs)
        torch.testing.assert_close(measured, alone(network, params, inputs), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("experiences", [2, ROWS])
def test_coupled_experiences_are_refused(experiences: int) -> None:
    params, inputs = torch.randn(N, P), torch.randn(N, experiences, IN)
    with pytest.raises(ValueError, match="depend on no other experience"):
        sensitivity.absolute(planned(coupled), params, inputs)


@pytest.mark.parametrize("network", EXACT, ids=lambda function: function.__name__)
@pytest.mark.parametrize("parents", [1, N])
def test_linear_functions_take_it(network, parents: int) -> None:
    params = torch.randn(parents, P, generator=torch.Generator().manual_seed(0))
    assert linear_shortcut.is_exact(planned(network), params, torch.ones(parents, ROWS, IN))


@pytest.mark.parametrize("network", MISLEADING, ids=lambda function: function.__name__)
def test_misleading_functions_do_not(network) -> None:
    params = torch.randn(N, P, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(N, ROWS, IN, generator=torch.Generator().manual_seed(1))
    assert linear_shortcut.is_exact(planned(network), params, inputs) is False


@pytest.mark.parametrize("parents", [1, 3])
def test_modules_that_flatten_sequences(parents: int) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            steps = torch.tanh(self.layer(x.flatten(0, 1))).unflatten(0, x.shape[:2])
            return self.head(steps.mean(1))

    network = FlatNetwork(Pooled().double())
    params = torch.randn(parents, network.num_params, dtype=torch.float64)
    # The first call could pass for a network of single steps, the second could not.
    for steps in (1, 4):
        inputs = torch.randn(parents, 3, steps, 2, dtype=torch.float64)
        measured = sensitivity.absolute(network, params, inputs)
        torch.testing.assert_close(measured, alone(network, params, inputs), rtol=1e-9, atol=1e-12)


def gated(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A network whose outputs are constant for genomes of negative numbers only."""

    def network(params: Tensor, x: Tensor) -> Tensor:
        return function(params, x) * params.detach().clone().amax(1)[:, None, None].gt(0)

    return network


@pytest.mark.parametrize("function", [once, behind_autograd_function])
def test_dead_parents_do_not_decide(function) -> None:
    """With zero gradients everywhere the comparison says nothing; other genomes are then compared."""
    network = planned(gated(function))
    inputs = torch.randn(1, ROWS, IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dead = -torch.ones(1, P, dtype=torch.float64)
    assert torch.all(sensitivity.absolute(network, dead, inputs) == 0)
    living = torch.ones(1, P, dtype=torch.float64)
    torch.testing.assert_close(
        sensitivity.absolute(network, living, inputs), alone(network, living, inputs), rtol=1e-9, atol=1e-12
    )


def test_results_do_not_depend_on_earlier_calls() -> None:
    """A resumed run must go on exactly as one that was not interrupted."""
    params = torch.randn(1, P, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(1, ROWS, IN, generator=torch.Generator().manual_seed(1))
    for function in (sensitivity.summed, sensitivity.absolute):
        fresh = planned(gated(once_feature_major))
        first = function(fresh, params, inputs)
        function(fresh, -params.abs(), inputs)
        assert torch.equal(function(fresh, params, inputs), first)
        other = planned(gated(once_feature_major))
        function(other, -params.abs(), inputs)
        assert torch.equal(function(other, params, inputs), first)


def test_a_view_of_a_larger_storage() -> None:
    """Genomes in the middle of a larger tensor, as chunks of a population are."""
    population = torch.randn(6, P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = torch.randn(6, ROWS, IN, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = sensitivity.absolute(once_feature_major, population, inputs)
    for some in (slice(2, 5), slice(5, 6)):
        part = sensitivity.absolute(once_feature_major, population[some], take(inputs, some))
        torch.testing.assert_close(part, whole[some])
    apart = population.T.contiguous().T  # no two weights of a genome side by side
    torch.testing.assert_close(sensitivity.absolute(once_feature_major, apart, inputs), whole)


def test_a_network_that_changes_its_ways() -> None:
    """Found exact at first, and then using a weight twice."""
    again = False

    def network(params: Tensor, x: Tensor) -> Tensor:
        return twice(params, x) if again else once(params, x)

    params = torch.randn(N, P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = torch.randn(N, ROWS, IN, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    known = planned(network)
    sensitivity.absolute(known, params, inputs)
    assert known.plans.latest.row_sums == "linear layers"
    again = True
    measured = sensitivity.absolute(known, params, inputs)
    torch.testing.assert_close(measured, alone(network, params, inputs), rtol=1e-9, atol=1e-12)
