"""An nn.Module as a function of a flat vector of its weights."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from safe_mutation.experiences import Experiences, take

Forward = Callable[[nn.Module, Any], Tensor]

# Slower or impossible under vmap: convolutions become grouped ones, recurrent layers have no batching rule.
_LOOPED = (nn.modules.conv._ConvNd, nn.RNNBase, nn.LSTMCell)


class FlatNetwork:
    """A module as ``network(params, inputs)``, for one genome or for a batch of them.

    The genome holds the trainable parameters in the order of ``module.named_parameters()``, tied ones
    once; frozen parameters and buffers are no part of it. The network works on its own copy: the
    module is never modified, and later changes to it are not seen.

    Args:
        module: Maps inputs (I, ...) to outputs (I, K), or to (I, T, K) for outputs at each time step.
        forward: Called as ``forward(module, inputs)`` where the module's own call needs adapting, for
            example ``lambda module, x: module(x)[0]``.
        batching: How N genomes are computed: "vmap" (all at once), "loop" (one after the other), or "auto":
            vmap, unless the module holds layers for which torch has no batching rule or only a slow one.

    Raises:
        ValueError: If the module has no trainable parameter, or holds batch normalisation or dropout in
            training mode: the outputs of the one depend on the other experiences, of the other on chance.
    """

    def __init__(self, module: nn.Module, *, forward: Forward | None = None, batching: str = "auto") -> None:
        if batching not in ("auto", "vmap", "loop"):
            raise ValueError(f"expected batching to be 'auto', 'vmap' or 'loop', got {batching!r}")
        refuse_training_mode(module)
        self.module = copy.deepcopy(module)
        self.forward = forward
        trainable = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        if not trainable:
            raise ValueError(
                f"expected a module with trainable parameters, got {type(module).__name__} without any"
            )
        self.names = list(trainable)
        self.shapes = [p.shape for p in trainable.values()]
        self.sizes = [p.numel() for p in trainable.values()]
        self.num_params = sum(self.sizes)
        looped = any(isinstance(layer, _LOOPED) for layer in self.module.modules())
        self.batching = ("loop" if looped else "vmap") if batching == "auto" else batching
        self._fall_back = batching == "auto"

    def __call__(self, params: Tensor, inputs: Experiences) -> Tensor:
        """Compute outputs.

        Args:
            params: Genomes (N, P), or one genome (P,).
            inputs: Inputs (N, I, ...), or (I, ...) with one genome; an array, or a dict or tuple of them.

        Returns:
            Outputs (N, I, K) or (N, I, T, K); for one genome without the N.
        """
        if params.shape[-1] != self.num_params or params.ndim > 2:
            p = self.num_params
            raise ValueError(f"expected genomes of shape ({p},) or (N, {p}), got {tuple(params.shape)}")
        if params.ndim == 1:
            return self._one(params, inputs)
        if len(params) > 1 and self.batching == "vmap":
            try:
                return torch.vmap(self._one)(params, inputs)
            except (RuntimeError, NotImplementedError):
                if not self._fall_back:
                    raise
                outputs = self._loop(params, inputs)  # raises what the network itself has to say
                self.batching = "loop"
                return outputs
        return self._loop(params, inputs)

    def _loop(self, params: Tensor, inputs: Experiences) -> Tensor:
        rows = [self._one(row, take(inputs, n)) for n, row in enumerate(params)]
        return torch.stack(rows)

    def _one(self, params: Tensor, inputs: Experiences) -> Tensor:
        with self._holding(params) as module:
            return module(inputs) if self.forward is None else self.forward(module, inputs)

    def flatten(self, module: nn.Module | None = None) -> Tensor:
        """The genome (P,) of a module of the same architecture, by default of the one this was made from."""
        named = dict((self.module if module is None else module).named_parameters())
        self._check_names(named)
        return torch.cat([named[name].detach().reshape(-1) for name in self.names])

    def load_(self, module: nn.Module, params: Tensor) -> nn.Module:
        """Write a genome (P,) into a module's parameters, in place, and return the module."""
        if tuple(params.shape) != (self.num_params,):
            raise ValueError(f"expected a genome of shape ({self.num_params},), got {tuple(params.shape)}")
        named = dict(module.named_parameters())
        self._check_names(named)
        with torch.no_grad():
            for name, part, shape in zip(self.names, params.split(self.sizes), self.shapes, strict=True):
                named[name].copy_(part.view(shape))
        return module

    def mask(self, *patterns: str) -> Tensor:
        """Mark the weights of the parameters whose names match, shape (P,), bool.

        Args:
            patterns: Shell-style patterns, for example ``"*.weight"``.

        Raises:
            ValueError: If a pattern matches no parameter; the message lists their names.
        """
        for pattern in patterns:
            if not fnmatch.filter(self.names, pattern):
                raise ValueError(f"expected a pattern that matches one of {self.names}, got {pattern!r}")
        chosen = [any(fnmatch.fnmatch(name, pattern) for pattern in patterns) for name in self.names]
        return torch.tensor(chosen).repeat_interleave(torch.tensor(self.sizes))

    @contextmanager
    def _holding(self, params: Tensor) -> Iterator[nn.Module]:
        """The module with views of a genome in place of its trainable parameters."""
        module = self._module_like(params)
        views = [part.view(shape) for part, shape in zip(params.split(self.sizes), self.shapes, strict=True)]
        slots = _slots(module, self.names)
        recurrent = [layer for layer in module.modules() if isinstance(layer, nn.RNNBase)]
        saved = [slot[key] for owned in slots for slot, key in owned]
        try:
            for view, owned in zip(views, slots, strict=True):
                for slot, key in owned:
                    slot[key] = view
            for layer in recurrent:
                layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
            yield module
        finally:
            for (slot, key), parameter in zip(
                (pair for owned in slots for pair in owned), saved, strict=True
            ):
                slot[key] = parameter
            for layer in recurrent:
                layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    def _module_like(self, params: Tensor) -> nn.Module:
        return self.module

    def _check_names(self, named: dict[str, nn.Parameter]) -> None:
        for name, shape in zip(self.names, self.shapes, strict=True):
            if name not in named or named[name].shape != shape:
                found = tuple(named[name].shape) if name in named else "none"
                raise ValueError(
                    f"expected a module with parameter {name!r} of shape {tuple(shape)}, got {found}"
                )


def _slots(module: nn.Module, names: list[str]) -> list[list[tuple[dict[str, Any], str]]]:
    """For each parameter, every place in the module that holds it (more than one where it is tied)."""
    places: dict[int, list[tuple[dict[str, Any], str]]] = {}
    for layer in module.modules():
        for key, parameter in layer._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((layer._parameters, key))
    named = dict(module.named_parameters())
    return [places[id(named[name])] for name in names]


def refuse_training_mode(module: nn.Module) -> None:
    """Refuse modules whose outputs for one experience depend on the others or on chance.

    Raises:
        ValueError: Naming the layer and the reason.
    """
    for name, layer in module.named_modules():
        reason = _why_not_in_training(layer) if layer.training else None
        if reason:
            raise ValueError(
                f"expected a module in eval mode, got {type(layer).__name__} {name!r} in train mode, "
                f"where {reason}: call module.eval() first"
            )


def _why_not_in_training(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return "the outputs for one experience depend on all others"
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        drop = layer.p
    elif isinstance(layer, (nn.RNNBase, nn.MultiheadAttention)):
        drop = layer.dropout
    else:
        return None
    return f"dropout ({drop:g}) makes the outputs depend on chance" if drop > 0 else None
