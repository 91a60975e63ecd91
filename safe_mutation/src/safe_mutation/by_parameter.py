"""SM-G-SUM of one genome a parameter at a time: no second genome is ever filled with gradients.

A backward pass hands over the gradient of a parameter as soon as it is known; added to the sensitivity, it
makes room for the next. Networks of 10^9 weights fit into a computer so.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import differentiable, run_rows


def summed(network: FlatNetwork, params: Tensor, inputs: Experiences) -> Tensor:
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ), shape (1, P).

    Args:
        network: A module's.
        params: One genome (1, P).
        inputs: Its experiences (1, I, ...) or ExperienceSets.
    """
    found = torch.zeros_like(params)
    with torch.enable_grad():
        stacked = not isinstance(inputs, ExperienceSets) and network.is_sequence(params, inputs)
        leaves = []
        for part, sensitivity in zip(network.parts(params[0]), network.parts(found[0]), strict=True):
            leaf = (part[None] if stacked else part).detach().requires_grad_()
            leaf.register_post_accumulate_grad_hook(partial(_take_gradient, sensitivity))
            leaves.append(leaf)
        rows = run_rows(lambda whole, some: network.of_parts(leaves, whole, some), params, inputs)
        totals = differentiable(rows.total())
    number = totals.shape[1]
    for k, weights in enumerate(torch.eye(number, dtype=totals.dtype, device=totals.device)):
        torch.autograd.backward(
            [totals], [weights.expand_as(totals)], retain_graph=k < number - 1, inputs=leaves
        )
    return found


def _take_gradient(sensitivity: Tensor, leaf: Tensor) -> None:
    """Add a parameter's gradient for one output to its sensitivity, and let go of it."""
    gradient, leaf.grad = leaf.grad, None
    assert gradient is not None  # this is called when there is one
    with torch.no_grad():
        gradient = gradient.reshape(sensitivity.shape).contiguous()
        torch.hypot(sensitivity, gradient, out=sensitivity)  # squares would underflow
