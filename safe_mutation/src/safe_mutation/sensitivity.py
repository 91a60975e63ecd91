"""How strongly each weight moves a network's outputs: the denominators of SM-G (paper, section 3.2).

All functions take a batch, ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)`` or
``(N, I, T, K)``, and treat every parent on its own. Each experience i gives K outputs; where a
network returns outputs for T time steps, every time step counts as a row of its own, so that the
sums over experiences below run over I*T rows. A sequence of which only the last output is returned
is one row; either way gradients go back through the whole sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor

from safe_mutation import linear_shortcut, per_experience
from safe_mutation.experiences import Experiences, take
from safe_mutation.network import Network, chunks, differentiable, run
from safe_mutation.tangent import tangent


def summed(network: Network, params: Tensor, inputs: Experiences, *, chunk_size: int | None = None) -> Tensor:
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ), shape (N, P).

    One forward pass, and one backward pass per output that all parents of a chunk share.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        chunk_size: Parents per pass; by default as many as need some 100 MB.
    """
    parts = []
    for chosen in chunks(network, params, inputs, chunk_size):
        with torch.enable_grad():
            leaf = params[chosen].detach().requires_grad_()
            totals = differentiable(run(network, leaf, take(inputs, chosen))).sum(1)
        parts.append(_root_sum_of_squares(totals, leaf))
    return _joined(parts)


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
        chunk_size: Parents per pass, or for the others gradients per pass; by default what needs some 100 MB.
    """
    params = params.contiguous()
    if linear_shortcut.is_exact(network, params, inputs):
        parents = chunk_size
    elif len(params) > 1 and linear_shortcut.is_exact(network, params[:1], inputs):
        parents = 1  # a network that computes its genomes one after the other
    else:
        return per_experience.absolute(network, params, inputs, chunk_size)
    try:
        parts = [
            _absolute_of_linear_layers(network, params[chosen], take(inputs, chosen))
            for chosen in chunks(network, params, inputs, parents)
        ]
    except linear_shortcut.Unsuitable:  # a network that uses its weights differently this time
        return per_experience.absolute(network, params, inputs, chunk_size)
    return _joined(parts)


def _absolute_of_linear_layers(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    with torch.enable_grad():
        leaf = params.detach().requires_grad_()
        outputs = linear_shortcut.outputs_with_absolute_gradients(network, leaf, inputs)
    return _root_sum_of_squares(outputs.sum(1), leaf).div_(outputs.shape[1])


def second_order(
    network: Network,
    params: Tensor,
    inputs: Experiences,
    direction: Tensor,
    *,
    chunk_size: int | None = None,
) -> Tensor:
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent, shape (N, P).

    The residual is zero there, so H = 2/I J'J exactly: a Jacobian-vector product followed by a
    vector-Jacobian product, no double backward.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        direction: v, shape (N, P).
        chunk_size: Parents per pass; by default as many as need some 100 MB.
    """
    parts = []
    for chosen in chunks(network, params, inputs, chunk_size):
        some = take(inputs, chosen)
        with torch.enable_grad():
            leaf = params[chosen].detach().requires_grad_()
            outputs = differentiable(run(network, leaf, some))
        change = tangent(network, params[chosen], direction[chosen], some)
        (product,) = torch.autograd.grad(outputs, leaf, grad_outputs=change * (2 / outputs.shape[1]))
        parts.append(product.abs_().sqrt_())
    return _joined(parts)


def divergence(network: Network, params: Tensor, others: Tensor, inputs: Experiences) -> Tensor:
    """Equation 1, how far two sets of genomes (N, P) disagree: 1/I sum_i sum_k (y_k - y'_k)^2, shape (N,)."""
    with torch.no_grad():
        difference = run(network, params, inputs) - run(network, others, inputs)
    return difference.double().square().sum(2).mean(1)


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


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
