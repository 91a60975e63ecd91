"""SM-G-ABS where the shortcut for linear layers does not hold: the gradient of every experience by itself.

Three ways to the same numbers. A batched function sees a parent with I experiences as I copies of
it with one each, so that one backward pass serves a whole chunk of copies. For an nn.Module the copies
share their forward pass and torch maps the backward pass over experiences. Where torch cannot
(nn.LSTM and the like), one experience follows the other.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, count, map_leaves, take
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import BUDGET, Network, differentiable, run

_looped: weakref.WeakSet[Any] = weakref.WeakSet()  # modules that torch cannot map over experiences


def absolute(network: Network, params: Tensor, inputs: Experiences, chunk_size: int | None) -> Tensor:
    """Return s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ), shape (N, P).

    Args:
        network: See ``network.py``.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        chunk_size: Gradients (of one experience and output each) held at once; by default 32 MB of them.
    """
    gradients = chunk_size or max(1, BUDGET // params.shape[1])
    if isinstance(network, FlatNetwork):
        rows = [_of_module(network, params[n], take(inputs, n), gradients) for n in range(len(params))]
        return torch.stack(rows)
    together = max(1, gradients // count(inputs, axis=1))  # parents whose copies fit into one chunk
    chosen = [slice(start, start + together) for start in range(0, len(params), together)]
    return torch.cat([_of_copies(network, params[some], take(inputs, some), gradients) for some in chosen])


def _of_copies(network: Network, params: Tensor, inputs: Experiences, gradients: int) -> Tensor:
    parents, total = len(params), count(inputs, axis=1)
    step = max(1, gradients // parents)
    sums: dict[int, Tensor] = {}
    rows = 0
    for start in range(0, total, step):
        some = take(inputs, (slice(None), slice(start, start + step)))
        width = count(some, axis=1)
        with torch.enable_grad():
            copies = params.detach().repeat_interleave(width, 0).requires_grad_()
            outputs = differentiable(
                run(network, copies, map_leaves(lambda x: x.flatten(0, 1)[:, None], some))
            )
        rows += width * outputs.shape[1]
        for t, k, last in _rows_and_outputs(outputs):
            (gradient,) = torch.autograd.grad(outputs[:, t, k].sum(), copies, retain_graph=not last)
            found = gradient.abs_().view(parents, width, -1).sum(1)
            sums[k] = sums[k] + found if k in sums else found
    return _root_sum_of_squares(sums) / rows


def _of_module(network: FlatNetwork, params: Tensor, inputs: Experiences, gradients: int) -> Tensor:
    if network not in _looped:
        try:
            return _mapped(network, params, inputs, gradients)
        except torch.OutOfMemoryError:
            raise
        except Exception:
            found = _one_by_one(network, params, inputs)  # raises again if it is the module that fails
            _looped.add(network)
            return found
    return _one_by_one(network, params, inputs)


def _mapped(network: FlatNetwork, params: Tensor, inputs: Experiences, gradients: int) -> Tensor:
    def outputs_of_one(genome: Tensor, experience: Experiences) -> Tensor:
        return run(network, genome[None], map_leaves(lambda x: x[None, None], experience))[0]

    total = count(inputs)
    rows, outputs = outputs_of_one(params, take(inputs, 0)).shape
    sums = params.new_zeros(outputs, len(params))
    step = max(1, gradients // (rows * outputs))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop", category=UserWarning)
        jacobian = torch.vmap(torch.func.jacrev(outputs_of_one), in_dims=(None, 0))
        for start in range(0, total, step):
            sums += jacobian(params, take(inputs, slice(start, start + step))).abs_().sum((0, 1))
    return _root_sum_of_squares(dict(enumerate(sums))) / (total * rows)


def _one_by_one(network: FlatNetwork, params: Tensor, inputs: Experiences) -> Tensor:
    sums: dict[int, Tensor] = {}
    rows = 0
    for i in range(count(inputs)):
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            outputs = differentiable(run(network, leaf[None], take(inputs, (None, slice(i, i + 1)))))
        rows += outputs.shape[1]
        for t, k, last in _rows_and_outputs(outputs):
            (gradient,) = torch.autograd.grad(outputs[0, t, k], leaf, retain_graph=not last)
            sums[k] = sums[k] + gradient.abs_() if k in sums else gradient.abs_()
    return _root_sum_of_squares(sums) / rows


def _rows_and_outputs(outputs: Tensor) -> list[tuple[int, int, bool]]:
    """Every row t and output k of (N, R, K), and whether it is the last pair."""
    _, rows, number = outputs.shape
    return [(t, k, t == rows - 1 and k == number - 1) for k in range(number) for t in range(rows)]


def _root_sum_of_squares(sums: dict[int, Tensor]) -> Tensor:
    total, *others = sums.values()
    for other in others:
        total = torch.hypot(total, other)
    return total
