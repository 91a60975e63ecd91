"""The change of a network's outputs in a direction: the Jacobian-vector product J v.

Forward-mode differentiation gives it exactly in one pass. Where torch has no forward rule for a
layer, the rule is sought among its elementary operations; failing that, J v is the derivative of J'u
with respect to u (exact, two backward passes); and as the last resort a central difference, good to
about three digits in float32. Which one a network needs is found out once, and kept in its plan: the
first that goes together with a backward pass, since J'J v needs one J. Forward mode sees through
``torch.no_grad()`` inside a module, which a backward pass does not, and the second backward pass
loses what a custom function computes out of torch's sight.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from safe_mutation.batched_network import planned
from safe_mutation.experiences import Experiences
from safe_mutation.network import Network, differentiable, run
from safe_mutation.out_of_memory import lacks_memory
from safe_mutation.plain_kernels import PlainKernels
from safe_mutation.plan import Ways
from safe_mutation.repeatable import a_few

ALIKE = 0.05  # of a sum's size: what the rounding of half precision explains

# torch has one level of forward-mode differentiation for the whole process.
_LEVEL = threading.RLock()


def tangent(
    network: Network, params: Tensor, direction: Tensor, inputs: Experiences, ways: Ways | None = None
) -> Tensor:
    """J v for each parent, as rows (N, R, K) like ``run``.

    Args:
        network: See ``network.py``.
        params: Genomes (N, P).
        direction: v (N, P).
        inputs: Experiences (N, I, ...).
        ways: The plan of the call that this is a part of.
    """
    network = planned(network)
    ways = ways or network.prepare(params, inputs)
    known = ways.plan.tangent
    names = list(METHODS)
    for name in names[0 if known is None else names.index(known) :]:
        try:
            if known is None and name != names[-1] and not goes_with_backward(name, network, params, inputs):
                continue
            found = METHODS[name](network, params, direction, inputs)
        except Exception as error:
            if lacks_memory(error) or name == names[-1] or name == ways.chosen.tangent:
                raise
            continue
        if known is None:
            ways.note(tangent=name)
        if name == names[-1] != known:
            warnings.warn(
                "torch can differentiate this network neither forwards nor twice: SM-G-SO falls back on a "
                "central difference, good to about three digits",
                RuntimeWarning,
                stacklevel=2,
            )
        break
    return found


def forward_mode(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v by dual numbers; exact."""
    while True:
        with torch.no_grad(), _dual_level():
            dual = forward_ad.make_dual(params.detach(), direction)
            outputs = run(network, dual, inputs)
            primal, found = forward_ad.unpack_dual(outputs)
            # A level that belongs to the caller of another thread may have been closed in the meantime.
            if forward_ad.unpack_dual(dual).tangent is not None:
                return torch.zeros_like(primal) if found is None else found


def forward_mode_of_plain_kernels(
    network: Network, params: Tensor, direction: Tensor, inputs: Experiences
) -> Tensor:
    """J v by dual numbers through elementary operations, where fused kernels have no forward rule; exact."""
    with PlainKernels():
        return forward_mode(network, params, direction, inputs)


def double_backward(network: Network, params: Tensor, direction: Tensor, inputs: Experiences) -> Tensor:
    """J v as the derivative of v'(J'u) with respect to u; exact."""
    with torch.enable_grad(), PlainKernels():
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


def goes_with_backward(name: str, network: Network, params: Tensor, inputs: Experiences) -> bool:
    """Whether a method's J is that of a backward pass: u'(J v) is (J'u)'v, for random u and v.

    Tried on a few experiences, with a parent's weights and with others near them, as parts of J may vanish
    for the one. (Far from them a deep network may be chaotic, and no two computations alike.)
    """
    genome, few = a_few(params, inputs)
    chance = torch.Generator().manual_seed(0)

    def drawn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=chance, dtype=torch.float32).to(like)

    spread = 0.1 * genome.square().mean().sqrt().clamp_min(0.1)
    for one in (genome, genome + spread * drawn(genome)):
        direction = drawn(one)
        with torch.enable_grad():
            leaf = one.requires_grad_()
            outputs = differentiable(run(network, leaf, few))
            u = drawn(outputs)
            (gradient,) = torch.autograd.grad(outputs, leaf, u)
        change = METHODS[name](network, one.detach(), direction, few)
        forwards, backwards = u.double() * change, gradient.double() * direction
        if (forwards.sum() - backwards.sum()).abs() > ALIKE * forwards.norm():  # never if one is nan
            return False
    return True


METHODS = {
    "forward mode": forward_mode,
    "forward mode, plain kernels": forward_mode_of_plain_kernels,
    "double backward": double_backward,
    "central difference": central_difference,
}


@contextmanager
def _dual_level() -> Iterator[None]:
    """A level of forward-mode differentiation, or the caller's where one is open: torch has no second one."""
    with _LEVEL:
        _load_forward_ad()
        level = forward_ad.dual_level()
        try:
            level.__enter__()
        except RuntimeError:
            yield
            return
        try:
            yield
        finally:
            level.__exit__(None, None, None)


@cache
def _load_forward_ad() -> None:
    """Let torch load its forward-mode rules, which since torch 2.13 raises a warning about its own code."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        with suppress(RuntimeError), forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(1), torch.zeros(1))
