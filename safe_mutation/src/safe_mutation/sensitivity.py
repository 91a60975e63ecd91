"""How strongly each weight moves a network's outputs: the denominators of SM-G (paper, section 3.2).

All functions take a batch, ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)`` or
``(N, I, T, K)``, and treat every parent on its own. Each experience i gives K outputs; where a
network returns outputs for T time steps, every time step counts as a row of its own, so that the
sums over experiences below run over I*T rows. A sequence of which only the last output is returned
is one row; either way gradients go back through the whole sequence. Experiences may be
``ExperienceSets``, where an experience that occurs twice counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from safe_mutation import by_parameter, linear_shortcut, per_experience
from safe_mutation.batched_network import BatchedNetwork, planned
from safe_mutation.chunks import parents_at_once
from safe_mutation.experience_sets import ExperienceSets, in_double_precision
from safe_mutation.experiences import Experiences, count, map_leaves, take
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import Network, differentiable, run_rows
from safe_mutation.out_of_memory import naming_chunk_size
from safe_mutation.plan import Ways
from safe_mutation.row_sums import combined
from safe_mutation.rows import Rows
from safe_mutation.tangent import tangent

_LINEAR = ("linear layers", "linear layers, one parent at a time")

# A pass of so few multiplications costs what its calls cost: K copies in one pass are cheaper than K passes.
TINY_PASS, TINY_COPIES = 2**14, 2**15

PlannedNetwork: TypeAlias = "FlatNetwork | BatchedNetwork"
Signs: TypeAlias = Callable[[range, int, int], Tensor]


@naming_chunk_size()
def summed(network: Network, params: Tensor, inputs: Experiences, *, chunk_size: int | None = None) -> Tensor:
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ), shape (N, P).

    One forward pass, and one backward pass per output that all parents of a chunk share.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        chunk_size: Parents per pass; by default what fits into caches.
    """
    network = planned(network)
    ways = network.prepare(params, inputs)
    copies = _cheap_copies(network, params, inputs, ways)

    def compute(chosen: slice) -> Tensor:
        if isinstance(network, FlatNetwork) and len(params[chosen]) == copies == 1:
            return by_parameter.summed(network, params[chosen], take(inputs, chosen))
        gradients, _ = gradient_per_output(None, network, params[chosen], take(inputs, chosen), copies)
        return combined((gradient.abs_() for gradient in gradients), rows=1, power=1)

    return _in_chunks(compute, params, _parents_at_once(params, inputs, chunk_size, ways))


@naming_chunk_size()
def absolute(
    network: Network, params: Tensor, inputs: Experiences, *, chunk_size: int | None = None
) -> Tensor:
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ), shape (N, P).

    Networks of linear layers take no more passes than SM-G-SUM (see ``linear_shortcut``); others
    need the gradient of every experience (see ``per_experience``).

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        chunk_size: Parents per pass, or for the others gradients per pass; by default what fits.
    """
    network, params = planned(network), params.contiguous()
    ways = network.prepare(params, inputs)
    found = _of_linear_layers(network, params, inputs, 1, chunk_size, ways)
    return _of_every_gradient(network, params, inputs, 1, chunk_size, ways) if found is None else found


@naming_chunk_size()
def root_mean_square(
    network: Network,
    params: Tensor,
    inputs: Experiences,
    *,
    signs: Signs | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Root mean square: s = sqrt( mean_i sum_k (dy_k(X_i)/dw)^2 ), shape (N, P).

    Exact at the price of SM-G-SUM in networks of linear layers. For others s^2 is estimated without bias
    from random signs u, as E (J'u)^2 is the diagonal of J'J; or exact from the gradient of every experience.
    Parents whose squared gradients overflow are computed again in double precision.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        signs: Called as ``signs(parents, rows, outputs)`` for the parents of a pass, a range of numbers below
            N; returns +1 and -1 in a tensor (probes, parents, rows, outputs), each probe costing a backward
            pass. None for exact.
        chunk_size: As for ``absolute``.
    """
    network, params = planned(network), params.contiguous()
    found = _root_mean_square(network, params, inputs, signs, chunk_size)
    for n in (~found.amax(1).isfinite()).nonzero().flatten().tolist():
        one = slice(n, n + 1)
        wide = in_double_precision(take(inputs, one))
        own = None if signs is None else partial(_signs_of_one, signs, n)
        with suppress(ValueError, TypeError):  # a network that insists on its own precision
            found[one] = _root_mean_square(network, params[one].double(), wide, own, chunk_size).to(found)
    return found


def _signs_of_one(signs: Signs, parent: int, alone: range, rows: int, outputs: int) -> Tensor:
    return signs(range(parent, parent + len(alone)), rows, outputs)


def _root_mean_square(
    network: PlannedNetwork, params: Tensor, inputs: Experiences, signs: Signs | None, chunk_size: int | None
) -> Tensor:
    ways = network.prepare(params, inputs)
    found = _of_linear_layers(network, params, inputs, 2, chunk_size, ways)
    if found is not None:
        return found
    if signs is None:
        return _of_every_gradient(network, params, inputs, 2, chunk_size, ways)

    def compute(chosen: slice) -> Tensor:
        with torch.enable_grad():
            leaf = params[chosen].detach().requires_grad_()
            rows = run_rows(network, leaf, take(inputs, chosen))
            outputs = differentiable(rows.outputs)
        probes = signs(range(len(params))[chosen], *outputs.shape[1:]).to(outputs)
        weights = rows.mean_weights()
        probes = probes * (weights**0.5)
        squares = torch.zeros_like(leaf)
        for number, probe in enumerate(probes, 1):
            (found,) = torch.autograd.grad(outputs, leaf, probe, retain_graph=number < len(probes))
            squares += found.square_()
        return squares.div_(len(probes)).sqrt_()

    return _in_chunks(compute, params, _parents_at_once(params, inputs, chunk_size, ways))


@naming_chunk_size()
def second_order(
    network: Network,
    params: Tensor,
    inputs: Experiences,
    direction: Tensor,
    *,
    chunk_size: int | None = None,
    outputs: list[Rows] | None = None,
) -> Tensor:
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent, shape (N, P).

    The residual is zero there, so H = 2/I J'J exactly: a Jacobian-vector product followed by a
    vector-Jacobian product, no double backward.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        direction: v, shape (N, P).
        chunk_size: Parents per pass; by default what fits into caches.
        outputs: A list to which the outputs of the parents of each pass are added.
    """
    network = planned(network)
    ways = network.prepare(params, inputs)

    def compute(chosen: slice) -> Tensor:
        some = take(inputs, chosen)
        with torch.enable_grad():
            leaf = params[chosen].detach().requires_grad_()
            rows = run_rows(network, leaf, some)
            found = differentiable(rows.outputs)
        change = tangent(network, params[chosen], direction[chosen], some, ways)
        (product,) = torch.autograd.grad(found, leaf, grad_outputs=rows.mean_weights() * 2 * change)
        if outputs is not None:
            outputs.append(Rows(found.detach(), rows.weights))
        return product.abs_().sqrt_()

    return _in_chunks(compute, params, _parents_at_once(params, inputs, chunk_size, ways))


@naming_chunk_size()
def divergence(network: Network, params: Tensor, others: Tensor, inputs: Experiences) -> Tensor:
    """Equation 1, how far two sets of genomes (N, P) disagree: 1/I sum_i sum_k (y_k - y'_k)^2, shape (N,)."""
    network = planned(network)
    network.prepare(params, inputs)
    with torch.no_grad():
        return run_rows(network, params, inputs).divergence_from(run_rows(network, others, inputs))


def _of_linear_layers(
    network: PlannedNetwork,
    params: Tensor,
    inputs: Experiences,
    power: int,
    chunk_size: int | None,
    ways: Ways,
) -> Tensor | None:
    """The sensitivities of ``row_sums`` by the shortcut for linear layers; None where it does not hold."""
    way = _linear_way(network, params, inputs, ways)
    if way is None:
        return None
    forward = partial(linear_shortcut.outputs_with_power_gradients, power=power)
    copies = _cheap_copies(network, params, inputs, ways)
    if copies > 1:
        pair = _repeated(params[:1], 2), map_leaves(lambda x: _repeated(x[:1], 2), inputs)
        copies = copies if _linear_way(network, *pair, network.prepare(*pair)) == "linear layers" else 1
        network.prepare(params, inputs)  # whose plan is the latest that a caller reads

    def compute(chosen: slice) -> Tensor:
        some = take(inputs, chosen)
        gradients, rows = gradient_per_output(forward, network, params[chosen], some, copies, power)
        return combined(gradients, rows, power)

    parents = chunk_size if way == "linear layers" else 1
    try:
        return _in_chunks(compute, params, _parents_at_once(params, inputs, parents, ways))
    except linear_shortcut.Unsuitable:  # a network that uses its weights differently this time
        return None


def _linear_way(network: PlannedNetwork, params: Tensor, inputs: Experiences, ways: Ways) -> str | None:
    """Whether the shortcut holds, for all parents at once or for one at a time."""
    known = ways.plan.row_sums
    if known is not None:
        return known if known in _LINEAR else None
    together, alone = _LINEAR
    if linear_shortcut.is_exact(network, params, inputs):
        return ways.note(row_sums=together).row_sums
    # A network that computes its genomes one after the other.
    if len(params) > 1 and linear_shortcut.is_exact(network, params[:1], take(inputs, slice(1))):
        return ways.note(row_sums=alone).row_sums
    return None


def _of_every_gradient(
    network: PlannedNetwork,
    params: Tensor,
    inputs: Experiences,
    power: int,
    chunk_size: int | None,
    ways: Ways,
) -> Tensor:
    """The sensitivities of ``row_sums`` where the shortcut does not hold, or cannot be told to."""
    known = ways.plan.row_sums
    undecided = known in _LINEAR or (
        known is None and linear_shortcut.is_exact(network, params, inputs) is None
    )
    return per_experience.power_mean(network, params, inputs, power, chunk_size, None if undecided else ways)


def gradient_per_output(
    forward: Callable[[Network, Tensor, Experiences], Tensor] | None,
    network: Network,
    params: Tensor,
    inputs: Experiences,
    copies: int,
    power: int = 1,
) -> tuple[Iterable[Tensor], int | Tensor]:
    """For each output k the gradient (N, P) of the sum over rows of ``forward``'s outputs, and their rows R.

    There is one backward pass for each of the K outputs; or a single one, through K copies of the parents.
    """
    with torch.enable_grad():
        leaf = _repeated(params, copies).detach().requires_grad_()
        repeated = inputs if copies == 1 else map_leaves(lambda x: _repeated(x, copies), inputs)
        rows = run_rows(network, leaf, repeated, forward)
        totals = differentiable(rows.total(power))
    number = totals.shape[1]
    if copies not in (1, number):  # a network with another number of outputs than the first time
        return gradient_per_output(forward, network, params, inputs, 1, power)
    one_hot = torch.eye(number, dtype=totals.dtype, device=totals.device)
    if copies > 1:
        weights = one_hot if len(params) == 1 else one_hot.repeat_interleave(len(params), 0)
        (gradients,) = torch.autograd.grad(totals, leaf, weights)
        return gradients.view(copies, *params.shape), rows.number()
    passes = (
        torch.autograd.grad(totals, leaf, weights.expand_as(totals), retain_graph=k < number - 1)[0]
        for k, weights in enumerate(one_hot)
    )
    return passes, rows.number()


def _cheap_copies(network: PlannedNetwork, params: Tensor, inputs: Experiences, ways: Ways) -> int:
    """The number of outputs K where passes are so small that mostly their calls cost time, else 1."""
    work = len(params) * (
        params.shape[1] + 16 * (0 if isinstance(inputs, ExperienceSets) else count(inputs, 1))
    )
    number = ways.plan.outputs or 1
    if isinstance(inputs, ExperienceSets) or work > TINY_PASS or number * work > TINY_COPIES:
        return 1
    if isinstance(network, FlatNetwork):
        copies = _repeated(params[:1], 2), map_leaves(lambda x: _repeated(x[:1], 2), inputs)
        stacked = network.prepare(*copies).plan.batching == "stacked"
        network.prepare(params, inputs)  # whose plan is the latest that a caller reads
        return number if stacked else 1  # mapping costs more
    return number


def _parents_at_once(
    params: Tensor, inputs: Experiences, chunk_size: int | None, ways: Ways
) -> Iterable[slice]:
    return parents_at_once(params, inputs, chunk_size, looped=ways.plan.batching == "looped")


def _repeated(values: Tensor, copies: int) -> Tensor:
    return values if copies == 1 else values.repeat(copies, *[1] * (values.ndim - 1))


def _in_chunks(compute: Callable[[slice], Tensor], params: Tensor, chosen: Iterable[slice]) -> Tensor:
    """Sensitivities (N, P) computed for some parents at a time, without a second copy of them all."""
    found: Tensor | None = None
    for some in chosen:
        part = compute(some)
        if len(part) == len(params):
            return part
        found = torch.empty_like(params) if found is None else found
        found[some] = part
    assert found is not None  # there is at least one parent
    return found
