"""How strongly each weight moves a network's outputs: the denominators of SM-G (paper section 3.2).

All functions take a batch, ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)`` or
``(N, I, T, K)``, and treat every parent on its own. Each experience i gives K outputs; where a
network returns outputs for T time steps, every time step counts as a row of its own, so that the
sums over experiences below run over I*T rows. A sequence whose last output alone is returned is one
row; either way gradients go back through the whole sequence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad

from safe_mutation import linear_shortcut
from safe_mutation.experiences import Experiences, count, map_leaves, take

Network: TypeAlias = Callable[[Any, Any], Any]
"""``network(params, inputs) -> outputs``, lane n of which depends on ``params[n]`` and ``inputs[n]`` only."""

LANE_BUDGET = 2**24  # numbers of per-experience gradients held at once (64 MB in float32)


def run(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    """Outputs of every parent as rows (N, R, K): R = I experiences, or I*T with outputs at each time step.

    Raises:
        TypeError: If the network returns no array.
        ValueError: If its outputs have another shape than promised, there are none, or they are not finite.
    """
    outputs = network(params, inputs)
    if not isinstance(outputs, Tensor):
        if isinstance(outputs, (tuple, list, dict)):
            raise TypeError(
                f"expected the network to return one tensor, got a {type(outputs).__name__}: choose the "
                "outputs that matter, for example FlatNetwork(module, forward=lambda module, x: module(x)[0])"
            )
        outputs = torch.as_tensor(outputs, device=params.device)
    parents, experiences = len(params), count(inputs, axis=1)
    if outputs.ndim not in (3, 4) or tuple(outputs.shape[:2]) != (parents, experiences):
        raise ValueError(
            f"expected outputs of shape (N, I, K) or (N, I, T, K) for N = {parents} genomes and "
            f"I = {experiences} experiences, got {tuple(outputs.shape)}"
        )
    if outputs.numel() == 0:
        raise ValueError(
            f"expected at least one output per experience, got outputs of shape {tuple(outputs.shape)}"
        )
    return outputs.flatten(1, 2) if outputs.ndim == 4 else outputs


def summed(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ), shape (N, P).

    One forward pass, and one backward pass per output that all parents share.
    """
    with torch.enable_grad():
        params = params.detach().requires_grad_()
        totals = differentiable(run(network, params, inputs)).sum(1)
    return _root_sum_of_squares(totals, params)


def absolute(
    network: Network, params: Tensor, inputs: Experiences, *, chunk_size: int | None = None
) -> Tensor:
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ), shape (N, P).

    Networks of linear layers take no more passes than SM-G-SUM (see ``linear_shortcut``). In others, a
    parent that meets I experiences is the same as I copies of it that meet one each, so that one
    backward pass per output gives the gradients of a whole chunk of copies.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        chunk_size: Copies per pass; by default as many as keep the gradients within 64 MB.
    """
    total = count(inputs, axis=1)
    if linear_shortcut.is_exact(network, params, inputs):
        return _absolute_of_linear(network, params, inputs)
    lanes = chunk_size or max(1, LANE_BUDGET // params.shape[1])
    together = max(1, lanes // total)  # parents whose copies all fit into one chunk
    rows = []
    for start in range(0, len(params), together):
        some = slice(start, start + together)
        rows.append(_absolute_of_copies(network, params[some], take(inputs, some), lanes))
    return torch.cat(rows)


def _absolute_of_linear(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    with torch.enable_grad():
        params = params.detach().requires_grad_()
        outputs = linear_shortcut.outputs_with_absolute_gradients(network, params, inputs)
    return _root_sum_of_squares(outputs.sum(1), params) / outputs.shape[1]


def _absolute_of_copies(network: Network, params: Tensor, inputs: Experiences, lanes: int) -> Tensor:
    parents, experiences = len(params), count(inputs, axis=1)
    step = max(1, lanes // parents)
    accumulated: list[Tensor] = []
    rows = 0
    for start in range(0, experiences, step):
        some = take(inputs, (slice(None), slice(start, start + step)))
        width = count(some, axis=1)
        with torch.enable_grad():
            copies = params.detach().repeat_interleave(width, 0).requires_grad_()
            outputs = differentiable(
                run(network, copies, map_leaves(lambda x: x.flatten(0, 1)[:, None], some))
            )
        _, times, number = outputs.shape
        rows += width * times
        for k in range(number):
            if k == len(accumulated):
                accumulated.append(torch.zeros_like(params))
            for t in range(times):
                last = k == number - 1 and t == times - 1
                (gradient,) = torch.autograd.grad(outputs[:, t, k].sum(), copies, retain_graph=not last)
                accumulated[k] += gradient.abs_().view(parents, width, -1).sum(1)
    squares = torch.zeros_like(params)
    for total in accumulated:
        squares = torch.hypot(squares, total)
    return squares / rows


def second_order(network: Network, params: Tensor, inputs: Experiences, direction: Tensor) -> Tensor:
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent, shape (N, P).

    The residual is zero there, so H = 2/I J'J exactly: a Jacobian-vector product followed by a
    vector-Jacobian product, no double backward.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        direction: v, shape (N, P).
    """
    _load_forward_ad()
    with torch.no_grad(), forward_ad.dual_level():
        outputs = run(network, forward_ad.make_dual(params.detach(), direction), inputs)
        tangent = forward_ad.unpack_dual(outputs).tangent
    with torch.enable_grad():
        params = params.detach().requires_grad_()
        outputs = differentiable(run(network, params, inputs))
    if tangent is None:
        return torch.zeros_like(direction)
    (product,) = torch.autograd.grad(outputs, params, grad_outputs=tangent * (2 / outputs.shape[1]))
    return product.abs_().sqrt_()


@cache
def _load_forward_ad() -> None:
    """Let torch load its forward-mode rules, which since torch 2.13 raises a warning about its own code."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def divergence(network: Network, params: Tensor, others: Tensor, inputs: Experiences) -> Tensor:
    """Equation 1, how far two sets of genomes (N, P) disagree: 1/I sum_i sum_k (y_k - y'_k)^2, shape (N,)."""
    with torch.no_grad():
        difference = run(network, params, inputs) - run(network, others, inputs)
    return difference.double().square().sum(2).mean(1)


def differentiable(outputs: Tensor) -> Tensor:
    """The outputs, if gradients can flow from them to the weights.

    Raises:
        TypeError: If they cannot.
    """
    if not outputs.requires_grad:
        raise TypeError(
            "expected outputs that are differentiable in params, as SM-G needs gradients, got a tensor "
            "without them; SMR works with any network"
        )
    return outputs


def _root_sum_of_squares(totals: Tensor, params: Tensor) -> Tensor:
    """sqrt( sum_k (d totals_k / dw)^2 ) for totals (N, K); by hypot: squares of tiny gradients underflow."""
    number = totals.shape[1]
    one_hot = torch.eye(number, dtype=totals.dtype, device=totals.device)
    sensitivity: Tensor | None = None
    for k in range(number):
        weights = one_hot[k].expand_as(totals)
        (gradient,) = torch.autograd.grad(totals, params, grad_outputs=weights, retain_graph=k < number - 1)
        sensitivity = gradient.abs_() if sensitivity is None else torch.hypot(sensitivity, gradient)
    assert sensitivity is not None  # run() refuses K = 0
    return sensitivity
