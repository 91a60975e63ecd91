"""Sums over experiences of powers of their gradients in one backward pass, for networks of linear layers.

The gradient that experience i gives a weight matrix is an outer product g_i a_i', and

    sum_i |g_i a_i'| = |G|' |A|,    sum_i (g_i a_i')^2 = (G^2)' A^2 (entry by entry)

exactly, G and A having one row per experience. So SM-G-ABS and the root mean square need no gradient
per experience where every weight is used once, in a linear layer or as a bias. The caller need not
know whether that is so: every torch call of the forward pass is watched and any other use of a weight
refused, and the first result for a network is compared with true per-experience gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from safe_mutation.batched_network import BatchedNetwork
from safe_mutation.experience_sets import ExperienceSets, in_double_precision
from safe_mutation.experiences import Experiences, count, map_leaves, take
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import Network, run
from safe_mutation.power_layers import affine, shift
from safe_mutation.stacked import Stacked
from safe_mutation.torch_internals import unmapped

# Calls that return a view of the same memory, whoever they are called on. What is done with it is seen later.
ALWAYS_VIEWS = {
    "__get__", "chunk", "movedim", "narrow", "permute", "select", "split", "split_with_sizes", "squeeze",
    "swapaxes", "t", "transpose", "unbind", "unflatten", "unsqueeze", "view",
}  # fmt: skip
SOMETIMES_VIEWS = {"__getitem__", "flatten", "reshape"}
PRODUCTS = {"matmul", "__matmul__", "bmm", "mm"}
SUMS = {"add", "__add__", "__radd__"}


PRECISELY = 2**19  # numbers that are cheap to compute with in double precision, whatever the network does


class Unsuitable(Exception):
    """The network uses a weight in a way for which the shortcut does not hold."""


def outputs_with_power_gradients(
    network: Network, params: Tensor, inputs: Experiences, power: int = 1
) -> Tensor:
    """Outputs whose gradient for the weights, given cotangents c, is sum_i |sum_k c_ik dy_k(X_i)/dw|^p.

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``.
        params: A leaf (N, P) that requires gradients.
        inputs: Experiences (N, I, ...).
        power: p, 1 or 2.

    Raises:
        Unsuitable: If a weight is used twice, or other than in a linear layer or as a bias.
    """
    if isinstance(network, FlatNetwork) and network.is_sequence(params, inputs):  # no need to watch it
        return run(partial(network.run_sequence, linear=partial(_linear, power=power)), params, inputs)
    with LayerWatch(params, count(inputs, axis=1), power):
        outputs = run(network, params, inputs)
    if outputs.shape[1] != count(inputs, axis=1):
        raise Unsuitable("outputs at several time steps")
    return outputs


def _linear(values: Tensor, weight: Tensor, bias: Tensor | None, power: int) -> Tensor:
    """A linear layer of stacks on values (N, in, I)."""
    weight = weight if weight.ndim == 3 else weight.expand(len(values), *weight.shape)
    if bias is not None:
        bias = (bias if bias.ndim == 2 else bias.expand(len(values), *bias.shape)).unsqueeze(-1)
    return affine(weight, values, bias, True, power)


class LayerWatch(TorchFunctionMode):
    """Sees every torch call, and gives linear layers of watched weights their sums of powers as gradients.

    Args:
        params: The genomes (N, P) whose storage is watched.
        experiences: Number of experiences I.
        power: p, 1 or 2.
    """

    def __init__(self, params: Tensor, experiences: int, power: int) -> None:
        super().__init__()
        if not params.is_contiguous():
            raise Unsuitable("genomes do not lie one after the other")
        self._storage = params.untyped_storage().data_ptr()
        self._offset = int(params.storage_offset())
        self._parents, self._length = params.shape
        self._experiences, self._power = experiences, power
        self._used: list[tuple[int, int]] = []
        self._end = 0  # of the last weight used so far

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Pass a call on, replace it, or refuse it."""
        kwargs = kwargs or {}
        if Stacked in types:
            with self:  # what it does inside is to be seen, too
                return Stacked.__torch_function__(func, types, args, kwargs)
        name = getattr(func, "__name__", "")
        if name in ALWAYS_VIEWS or not (self._touched(args) or (kwargs and self._touched(kwargs.values()))):
            return func(*args, **kwargs)
        if func is functional.linear:
            return self._linear(*args, **kwargs)
        if name in ("baddbmm", "addmm"):
            return self._multiply(*args, **kwargs)
        if name in PRODUCTS and not kwargs:
            return self._multiply(None, *args)
        if name in SUMS and not kwargs and len(args) == 2:
            return self._add(*args)
        result = func(*args, **kwargs)
        if not self._only_views(result, name in SOMETIMES_VIEWS):
            raise Unsuitable(f"a weight is used in {name}")
        return result

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self._multiply(bias, input, weight.mT)

    def _multiply(self, bias: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
        """Apply bias + left @ right, either factor being the weight."""
        if not (isinstance(left, Tensor) and isinstance(right, Tensor)) or left.ndim != right.ndim:
            raise Unsuitable("a weight is multiplied with a tensor of other dimensions")
        weight_first, weight_last = self._watched(left), self._watched(right)
        if weight_first and weight_last:
            raise Unsuitable("weights are multiplied with each other")
        if not (weight_first or weight_last):  # a frozen weight with a bias that is not
            if bias is None:
                raise Unsuitable("a weight is used in a product of others")
            return self._add(left @ right, bias)
        weight, data = (left, right) if weight_first else (right, left)
        axis = -1 if weight_first else -2
        if data.shape[axis] != self._experiences or data.shape[:-2] != weight.shape[:-2]:
            raise Unsuitable("a layer has other rows than experiences")
        self._use(weight)
        if bias is None or not self._watched(bias):
            product = affine(weight, data, None, weight_first, self._power)
            return product if bias is None else product + bias
        bias = bias[(None,) * (data.ndim - bias.ndim)]
        if bias.shape[axis] != 1 or bias.shape[-3 - axis] != weight.shape[-3 - axis]:
            raise Unsuitable("a bias is not shared by the experiences alone")
        self._use(bias)
        return affine(weight, data, bias, weight_first, self._power)

    def _add(self, left: Any, right: Any) -> Tensor:
        if self._watched(left) == self._watched(right):
            if self._watched(left):
                raise Unsuitable("weights are added to each other")
            return left + right
        bias, data = (left, right) if self._watched(left) else (right, left)
        if not isinstance(data, Tensor) or bias.ndim > data.ndim:
            raise Unsuitable("a bias is added to a tensor of fewer dimensions")
        widened = bias[(None,) * (data.ndim - bias.ndim)]
        shared = [
            axis for axis in (-1, -2) if widened.shape[axis] == 1 and data.shape[axis] == self._experiences
        ]
        differing = [axis for axis in range(-data.ndim, 0) if widened.shape[axis] != data.shape[axis]]
        if data.ndim > 3 or differing != shared:
            raise Unsuitable("a bias is not shared by the experiences alone")
        self._use(bias)
        return shift(data, widened, shared[0], self._power)

    def _touched(self, values: Iterable[Any]) -> bool:
        for value in values:
            if isinstance(value, Tensor):
                if self._watched(value):
                    return True
            elif isinstance(value, (list, tuple)) and self._touched(value):
                return True
        return False

    def _only_views(self, result: Any, viewing: bool) -> bool:
        """Whether what a call returned are views of weights, or no tensors at all."""
        if isinstance(result, (list, tuple)):
            return all(self._only_views(value, viewing) for value in result)
        return not isinstance(result, Tensor) or (viewing and self._watched(result))

    def _watched(self, value: Any) -> bool:
        return isinstance(value, Tensor) and unmapped(value).untyped_storage().data_ptr() == self._storage

    def _use(self, weight: Tensor) -> None:
        """Note which part of the genome a view covers; every weight may be used once only."""
        view = unmapped(weight)
        if not view.requires_grad:
            raise Unsuitable("a weight is detached")
        start = int(view.storage_offset()) - self._offset
        extents = sorted((s, n) for s, n in zip(view.stride(), view.shape, strict=True) if n > 1)
        if self._parents > 1 and (not extents or extents.pop() != (self._length, self._parents)):
            raise Unsuitable("parents are computed one by one")
        length = 1
        for stride, extent in extents:
            if stride != length:
                raise Unsuitable("a view skips or repeats weights")
            length *= int(extent)
        end = start + length
        overlaps = start < self._end and any(start < e and b < end for b, e in self._used)
        if end > self._length or overlaps:
            raise Unsuitable("a weight is used twice")
        self._used.append((start, end))
        self._end = max(self._end, end)


def is_exact(network: FlatNetwork | BatchedNetwork, params: Tensor, inputs: Experiences) -> bool | None:
    """Whether the shortcut equals per-experience gradients, tried on a few of them.

    A single experience is taken twice; with two or three a layer's rows could be mistaken for experiences,
    which the comparison then shows. Gradients that vanish say nothing, as those behind weights that begin
    at zero do: random genomes are tried until every parameter has had some. None where all vanish.
    """
    if isinstance(inputs, ExperienceSets):
        parts = [(params if p.lanes is None else params[p.lanes], p.inputs) for p in inputs.rectangles]
        verdicts = [is_exact(network, some, part) for some, part in parts]
        return None if None in verdicts else all(verdicts)
    few_params = params[:2]
    few_inputs = take(inputs, (slice(len(few_params)), slice(3)))
    if count(inputs, axis=1) == 1:
        few_inputs = map_leaves(lambda x: torch.cat([x, x], 1), few_inputs)
    told: set[int] = set()
    sizes = [n for n in network.sizes if n > 0] if isinstance(network, FlatNetwork) else [params.shape[1]]
    try:
        for number, genomes in enumerate(chain([few_params], _random_genomes(few_params))):
            if number > 1 and len(told) == len(sizes):
                break
            told |= _compare_precisely(network, genomes, few_inputs, sizes)
    except (Unsuitable, ValueError, TypeError):
        return False
    return True if told else None


def _random_genomes(like: Tensor) -> Iterator[Tensor]:
    """Genomes to compare on where gradients of the parents' vanish, from large weights to small ones."""
    drawn = torch.randn(like.shape, generator=torch.Generator("cpu").manual_seed(0), device="cpu").to(like)
    yield from (scale * drawn for scale in (1.0, 0.3, 0.1, 0.03))


def _compare_precisely(
    network: FlatNetwork | BatchedNetwork, params: Tensor, inputs: Experiences, sizes: list[int]
) -> set[int]:
    if params.numel() <= PRECISELY:
        try:
            return _compare(network, params.double(), in_double_precision(inputs), sizes, tolerance=1e-9)
        except (ValueError, TypeError):  # a network that insists on its own precision
            pass
    return _compare(network, params, inputs, sizes, tolerance=1e-4)


def _compare(
    network: FlatNetwork | BatchedNetwork,
    params: Tensor,
    inputs: Experiences,
    sizes: list[int],
    tolerance: float,
) -> set[int]:
    """Compare both ways on a few experiences, each also run alone.

    The outputs are weighted by numbers of both signs: a sum without absolute values shows then, even where
    the gradients of all experiences have the same sign.

    Returns:
        The parameters, by their places in ``sizes``, whose gradients do not vanish.

    Raises:
        Unsuitable: If the ways differ.
    """
    network.prepare(params, inputs)
    with torch.enable_grad():
        leaf = params.detach().clone().requires_grad_()
        outputs = outputs_with_power_gradients(network, leaf, inputs)
        weights = torch.randn(outputs.shape, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        weights = weights.to(outputs)
        if not outputs.requires_grad:
            return set()
        (quick,) = torch.autograd.grad(outputs, leaf, grad_outputs=weights)
        true = torch.zeros_like(leaf)
        for i in range(outputs.shape[1]):
            one = slice(i, i + 1)
            alone = run(network, leaf, take(inputs, (slice(None), one)))
            true += torch.autograd.grad(alone, leaf, grad_outputs=weights[:, one])[0].abs()
    if not torch.isfinite(true).all():
        return set()
    rounding = 1000 * torch.finfo(true.dtype).eps * float(true.amax())
    told = set()
    for place, (right, found) in enumerate(zip(true.split(sizes, 1), quick.split(sizes, 1), strict=True)):
        largest = float(right.amax())
        if not float((found - right).abs().amax()) <= tolerance * largest + rounding:
            raise Unsuitable("the sum of powers is another")
        if largest > rounding:
            told.add(place)
    return told
