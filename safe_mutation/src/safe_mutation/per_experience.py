"""Sums over experiences where the shortcut for linear layers does not hold: every gradient by itself.

A batched function, or a module that is computed with stacked weights, sees a parent with I experiences
as I copies of it with one each, so that one backward pass serves a whole chunk of copies. For other
modules torch maps over experiences; where it cannot, it maps the backward pass alone over the rows of a
few experiences; and where it cannot do that either, one backward pass follows the other. All give the
same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from safe_mutation.batched_network import BatchedNetwork
from safe_mutation.chunks import gradients_at_once
from safe_mutation.experience_sets import ExperienceSets, Rectangle
from safe_mutation.experiences import Experiences, count, map_leaves, take
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.mapping_check import maps_rightly
from safe_mutation.network import Network, differentiable, run
from safe_mutation.out_of_memory import lacks_memory
from safe_mutation.plan import Ways
from safe_mutation.row_sums import combined, raised_
from safe_mutation.torch_internals import gaps_are_errors, gaps_are_silent


def power_mean(
    network: FlatNetwork | BatchedNetwork,
    params: Tensor,
    inputs: Experiences,
    power: int,
    chunk_size: int | None,
    ways: Ways | None,
) -> Tensor:
    """The sensitivities of ``row_sums``, shape (N, P).

    Args:
        network: See ``network.py``.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        power: 1 for SM-G-ABS, 2 for the root mean square.
        chunk_size: Gradients (of one experience and output each) computed at once; by default what fits.
        ways: The plan, to follow or to note the method in; None to note nothing.
    """
    if isinstance(inputs, ExperienceSets):  # one parent at a time: nothing is repeated to fill a rectangle
        return torch.cat(
            [
                _of_sets(network, params[one], take(inputs, one).rectangles, power, chunk_size, ways)
                for one in _slices(len(params), 1)
            ]
        )
    gradients = chunk_size or gradients_at_once(params, inputs)
    if isinstance(network, FlatNetwork) and not _copied(ways):
        parents = range(len(params))
        sums = [
            _of_module(network, params[n], take(inputs, n), None, power, gradients, ways) for n in parents
        ]
        return torch.stack([combined(one, rows, power) for one, rows in sums])
    if ways is not None and ways.plan.row_sums is None:
        ways.note(row_sums="copies")
    together = max(1, gradients // count(inputs, axis=1))  # parents whose copies fit into one chunk
    found = []
    for some in _slices(len(params), together):
        of_outputs, rows = _of_copies(network, params[some], take(inputs, some), None, power, gradients)
        found.append(combined(of_outputs, rows, power))
    return torch.cat(found)


def _of_sets(
    network: FlatNetwork | BatchedNetwork,
    params: Tensor,
    rectangles: list[Rectangle],
    power: int,
    chunk_size: int | None,
    ways: Ways | None,
) -> Tensor:
    """One parent (1, P) with experiences of several shapes, some of which may count more than once."""
    total: Tensor | None = None
    number = 0.0
    for part in rectangles:
        gradients = chunk_size or gradients_at_once(params, part.inputs)
        if isinstance(network, FlatNetwork) and not _copied(ways):
            weights = None if part.weights is None else part.weights[0].to(params.dtype)
            sums, rows = _of_module(network, params[0], take(part.inputs, 0), weights, power, gradients, ways)
            sums = sums[:, None]
        else:
            of_outputs, rows = _of_copies(network, params, part.inputs, part.weights, power, gradients)
            sums = torch.stack(of_outputs)
        total = sums if total is None else total + sums
        number += rows
    assert total is not None  # there is at least one experience
    return combined(total, number, power)


def _copied(ways: Ways | None) -> bool:
    """Whether a module computes copies of its genomes best: those that are stacked anyway."""
    if ways is None:
        return False
    return ways.plan.row_sums == "copies" or (ways.plan.row_sums is None and ways.plan.batching == "stacked")


def _of_copies(
    network: Network,
    params: Tensor,
    inputs: Experiences,
    weights: Tensor | None,
    power: int,
    gradients: int,
) -> tuple[list[Tensor], float]:
    """Sums over rows of |gradients|^p (N, P) for each output, and the number of rows."""
    parents, total = len(params), count(inputs, axis=1)
    sums: dict[int, Tensor] = {}
    rows = 0.0
    for chosen in _slices(total, max(1, gradients // parents)):
        some = take(inputs, (slice(None), chosen))
        width = count(some, axis=1)
        with torch.enable_grad():
            copies = params.detach().repeat_interleave(width, 0).requires_grad_()
            outputs = differentiable(
                run(network, copies, map_leaves(lambda x: x.flatten(0, 1)[:, None], some))
            )
        own = None if weights is None else weights[:, chosen].to(params.dtype)
        rows += (width if own is None else float(own[0].sum())) * outputs.shape[1]
        for t, k, last in _rows_and_outputs(outputs):
            (gradient,) = torch.autograd.grad(outputs[:, t, k].sum(), copies, retain_graph=not last)
            found = _summed(raised_(gradient, power).view(parents, width, -1), own)
            sums[k] = sums[k] + found if k in sums else found
    return list(sums.values()), rows


def _of_module(
    network: FlatNetwork,
    params: Tensor,
    inputs: Experiences,
    weights: Tensor | None,
    power: int,
    gradients: int,
    ways: Ways | None,
) -> tuple[Tensor, float]:
    """One parent (P,): sums (K, P) and the number of rows, by the first method that torch can do for it."""
    known = ways.plan.row_sums if ways else None
    attempts = _ATTEMPTS if known is None else [one for one in _ATTEMPTS if one[1]]
    for name, silently in attempts[0 if known is None else list(METHODS).index(known) :]:
        if name == "mapped" and count(inputs) == 1:
            continue  # a single experience leaves nothing to map over
        try:
            with gaps_are_silent() if silently else gaps_are_errors():
                found = METHODS[name](network, params, inputs, weights, power, gradients)
                if (
                    name == "mapped"
                    and known is None
                    and not maps_rightly(network, params, inputs, gradients)
                ):
                    continue
        except Exception as error:
            if lacks_memory(error) or name == "one by one" or (ways and name == ways.chosen.row_sums):
                raise
            continue
        if ways is not None and known is None:
            ways.note(row_sums=name)
        return found
    raise AssertionError("unreachable: the last method raises")


def mapped(
    network: FlatNetwork,
    params: Tensor,
    inputs: Experiences,
    weights: Tensor | None,
    power: int,
    gradients: int,
) -> tuple[Tensor, float]:
    """Sums over rows of |gradients|^p (K, P), and the number of rows: all mapped over experiences."""

    def outputs_of_one(genome: Tensor, experience: Experiences) -> Tensor:
        return run(network, genome[None], map_leaves(lambda x: x[None, None], experience))[0]

    total = count(inputs)
    rows, outputs = outputs_of_one(params, take(inputs, 0)).shape
    sums = params.new_zeros(outputs, len(params))
    if rows * outputs > gradients:  # not even the gradients of one experience at once
        for n in range(total):
            pull = torch.func.vjp(partial(outputs_of_one, experience=take(inputs, n)), params)[1]
            for _, some, cotangents in _cotangents(rows, outputs, gradients, params):
                (found,) = torch.vmap(pull)(cotangents)
                found = raised_(found, power).unflatten(0, (-1, len(sums[some]))).sum(0)
                sums[some] += found if weights is None else weights[n] * found
    else:
        jacobian = torch.vmap(torch.func.jacrev(outputs_of_one), in_dims=(None, 0))
        for some in _slices(total, gradients // (rows * outputs)):
            of_rows = raised_(jacobian(params, take(inputs, some)), power).sum(1)
            sums += of_rows.sum(0) if weights is None else torch.tensordot(weights[some], of_rows, 1)
    return sums, rows * (total if weights is None else float(weights.sum()))


def backward_mapped(
    network: FlatNetwork,
    params: Tensor,
    inputs: Experiences,
    weights: Tensor | None,
    power: int,
    gradients: int,
) -> tuple[Tensor, float]:
    """The same, mapping the backward pass alone, over the outputs of a few experiences."""
    total, rows, sums = count(inputs), 0.0, None
    for some in _slices(total, TOGETHER):
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            outputs = differentiable(run(network, leaf[None], take(inputs, (None, some))))[0]
        height, number = outputs.shape
        sums = params.new_zeros(number, len(params)) if sums is None else sums
        own = None
        if weights is not None:
            own = weights[some].repeat_interleave(height // len(weights[some]))
        rows += height if own is None else float(own.sum())
        at_once = max(1, gradients // count(take(inputs, some)))
        for chosen, part, cotangents in _cotangents(height, number, at_once, params):
            (found,) = torch.autograd.grad(
                outputs, leaf, cotangents, retain_graph=True, is_grads_batched=True
            )
            found = raised_(found, power).unflatten(0, (-1, len(sums[part])))
            sums[part] += found.sum(0) if own is None else torch.tensordot(own[chosen], found, 1)
    assert sums is not None  # there is at least one experience
    return sums, rows


def one_by_one(
    network: FlatNetwork,
    params: Tensor,
    inputs: Experiences,
    weights: Tensor | None,
    power: int,
    gradients: int,
) -> tuple[Tensor, float]:
    """The same, with a backward pass for every output of every experience."""
    rows, sums = 0.0, None
    for some in _slices(count(inputs), 1):
        times = 1.0 if weights is None else float(weights[some])
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            outputs = differentiable(run(network, leaf[None], take(inputs, (None, some))))
        sums = params.new_zeros(outputs.shape[2], len(params)) if sums is None else sums
        rows += times * outputs.shape[1]
        for t, k, last in _rows_and_outputs(outputs):
            (gradient,) = torch.autograd.grad(outputs[0, t, k], leaf, retain_graph=not last)
            sums[k] += raised_(gradient, power).mul_(times)
    assert sums is not None  # there is at least one experience
    return sums, rows


TOGETHER = 16  # experiences in a forward pass of which every output costs a backward pass through all of them

METHODS = {"mapped": mapped, "backward mapped": backward_mapped, "one by one": one_by_one}

# Whether torch may loop over single operations for which it has no rule: faster still than one by one.
_ATTEMPTS = (
    ("mapped", False),
    ("backward mapped", False),
    ("mapped", True),
    ("backward mapped", True),
    ("one by one", True),
)


def _cotangents(
    height: int, number: int, at_once: int, like: Tensor
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Cotangents that single out each of (height, number) values, so many at once, and which those are."""
    for rows in _slices(height, max(1, at_once // number)):
        for columns in _slices(number, min(number, at_once)):
            r, k = (torch.arange(*some.indices(n)) for some, n in ((rows, height), (columns, number)))
            cotangents = like.new_zeros(len(r), len(k), height, number)
            cotangents[torch.arange(len(r))[:, None], torch.arange(len(k)), r[:, None], k] = 1
            yield rows, columns, cotangents.flatten(0, 1)


def _slices(total: int, step: int) -> list[slice]:
    return [slice(start, start + step) for start in range(0, total, step)]


def _summed(of_experiences: Tensor, weights: Tensor | None) -> Tensor:
    """Add (N, I, P) over experiences, each as often as its weight (N, I) says."""
    if weights is None:
        return of_experiences.sum(1)
    return torch.einsum("ni,nip->np", weights, of_experiences)


def _rows_and_outputs(outputs: Tensor) -> list[tuple[int, int, bool]]:
    """Every row t and output k of (N, R, K), and whether it is the last pair."""
    _, rows, number = outputs.shape
    return [(t, k, t == rows - 1 and k == number - 1) for k in range(number) for t in range(rows)]
