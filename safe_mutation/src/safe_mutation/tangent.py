"""The change of a network's outputs in a direction: the Jacobian-vector product J v.

Forward-mode differentiation gives it exactly in one pass. Where torch has no forward rule for a
layer, the rule is sought among its plainer kernels; failing that, J v is the derivative of J'u with
respect to u (exact, two backward passes); and as the last resort a central difference, good to about
three digits in float32. Which one a network needs is found out once.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from safe_mutation.experiences import Experiences
from safe_mutation.network import Network, run


def tangent(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v for each parent, as rows (N, R, K) like ``run``.

    Args:
        network: See ``network.py``.
        params: Genomes (N, P).
        direction: v (N, P).
        inputs: Experiences (N, I, ...).
    """
    last = len(METHODS) - 1
    for index in range(_remembered(network), last):
        try:
            result = METHODS[index](network, params, direction, inputs)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError):  # run() reports a network's RuntimeError as a ValueError
            continue
        _remember(network, index)
        return result
    if _remembered(network) < last:
        warnings.warn(
            "torch can differentiate this network neither forwards nor twice: SM-G-SO falls back on a "
            "central difference, good to about three digits",
            RuntimeWarning,
            stacklevel=2,
        )
        _remember(network, last)
    return METHODS[last](network, params, direction, inputs)


def forward_mode(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v by dual numbers; exact."""
    _load_forward_ad()
    with torch.no_grad(), forward_ad.dual_level():
        outputs = run(network, forward_ad.make_dual(params.detach(), direction), inputs)
        primal, found = forward_ad.unpack_dual(outputs)
    return torch.zeros_like(primal) if found is None else found


def forward_mode_of_plain_kernels(
    network: Network, params: Tensor, direction: Tensor, inputs: Experiences
) -> Tensor:
    """J v by dual numbers, avoiding fused kernels that have no forward rule; exact."""
    with _plain_kernels():
        return forward_mode(network, params, direction, inputs)


def double_backward(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v as the derivative of v'(J'u) with respect to u; exact."""
    with torch.enable_grad(), _plain_kernels():
        leaf = params.detach().requires_grad_()
        outputs = run(network, leaf, inputs)
        u = torch.zeros_like(outputs, requires_grad=True)
        (gradient,) = torch.autograd.grad(outputs, leaf, grad_outputs=u, create_graph=True)
        (found,) = torch.autograd.grad(gradient, u, grad_outputs=direction)
    return found


def central_difference(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v by two more forward passes; approximate."""
    relative = 1e-5 if params.dtype == torch.float64 else 1e-3
    norm = torch.linalg.vector_norm
    lengths = norm(params, dim=1, keepdim=True).clamp_min(1.0), norm(direction, dim=1, keepdim=True)
    step = relative * lengths[0] / lengths[1].clamp_min(torch.finfo(params.dtype).tiny)
    with torch.no_grad():
        ahead = run(network, params + step * direction, inputs)
        behind = run(network, params - step * direction, inputs)
    return (ahead - behind) / (2 * step[:, :, None])


METHODS = (forward_mode, forward_mode_of_plain_kernels, double_backward, central_difference)

_methods: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def _remembered(network: Network) -> int:
    try:
        return _methods.get(network, 0)
    except TypeError:  # neither hashable nor weakly referable
        return 0


def _remember(network: Network, index: int) -> None:
    try:
        _methods[network] = index
    except TypeError:
        return


@contextmanager
def _plain_kernels() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch warns about the setting for Intel GPUs when it puts the setting back.
        warnings.filterwarnings("ignore", message="TF32 acceleration", category=UserWarning)
        with (
            torch.backends.mkldnn.flags(enabled=False),
            torch.backends.cudnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield


@cache
def _load_forward_ad() -> None:
    """Let torch load its forward-mode rules, which since torch 2.13 raises a warning about its own code."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))
