"""An nn.Module as a function of a flat vector of its weights."""

from __future__ import annotations

import copy
import fnmatch
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from safe_mutation.experiences import Experiences, take
from safe_mutation.linear_shortcut import Unsuitable

Forward = Callable[[nn.Module, Any], Tensor]

# Convolutions of many genomes become grouped ones, slower than a loop; recurrent layers cannot be mapped.
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

    Attributes:
        num_params: Length P of a genome.
        names: Names of the parameters in the genome.

    Raises:
        ValueError: If the module has no trainable parameter, or holds batch normalisation or dropout in
            training mode: the outputs of the one depend on the other experiences, of the other on chance.
    """

    def __init__(self, module: nn.Module, *, forward: Forward | None = None, batching: str = "auto") -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"expected an nn.Module, got {type(module).__name__}")
        if batching not in ("auto", "vmap", "loop"):
            raise ValueError(f"expected batching to be 'auto', 'vmap' or 'loop', got {batching!r}")
        refuse_training_mode(module)
        self._adopt(copy.deepcopy(module))
        self._forward = forward
        trainable = {name: p for name, p in self._module.named_parameters() if p.requires_grad}
        if not trainable:
            raise ValueError(f"expected trainable parameters, got a {type(module).__name__} without any")
        self.names = list(trainable)
        self._shapes = [p.shape for p in trainable.values()]
        self._sizes = [p.numel() for p in trainable.values()]
        self.num_params = sum(self._sizes)
        looped = any(isinstance(layer, _LOOPED) for layer in self._module.modules())
        self._batching = ("loop" if looped else "try vmap") if batching == "auto" else batching

    def __call__(self, params: Tensor, inputs: Experiences) -> Tensor:
        """Compute outputs.

        Args:
            params: Genomes (N, P), or one genome (P,).
            inputs: Inputs (N, I, ...), or (I, ...) with one genome; an array, or a dict or tuple of them.

        Returns:
            Outputs (N, I, K) or (N, I, T, K); for one genome without the N.
        """
        if params.ndim not in (1, 2) or params.shape[-1] != self.num_params:
            p = self.num_params
            raise ValueError(f"expected genomes of shape ({p},) or (N, {p}), got {tuple(params.shape)}")
        if params.ndim == 1:
            return self._one(params, inputs)
        if len(params) == 1 or self._batching == "loop":
            return self._loop(params, inputs)
        if self._batching == "vmap":
            return torch.vmap(self._one)(params, inputs)
        return self._try_vmap(params, inputs)

    @property
    def loops(self) -> bool:
        """Whether genomes are computed one after the other, so that many at once only cost memory."""
        return self._batching == "loop"

    def flatten(self, module: nn.Module | None = None) -> Tensor:
        """The genome (P,) of a module of the same architecture, by default of the one this was made from."""
        named = self._named(self._module if module is None else module)
        return torch.cat([named[name].detach().reshape(-1) for name in self.names])

    def load_(self, module: nn.Module, params: Tensor) -> nn.Module:
        """Write a genome (P,) into a module's parameters, in place, and return the module."""
        if tuple(params.shape) != (self.num_params,):
            raise ValueError(f"expected a genome of shape ({self.num_params},), got {tuple(params.shape)}")
        named = self._named(module)
        with torch.no_grad():
            for name, part, shape in zip(self.names, params.split(self._sizes), self._shapes, strict=True):
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
        chosen = [any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in self.names]
        return torch.tensor(chosen).repeat_interleave(torch.tensor(self._sizes))

    def borrowing(self, module: nn.Module) -> FlatNetwork:
        """The same network on another module, uncopied, with that module's buffers and frozen weights."""
        refuse_training_mode(module)
        self._named(module)
        borrowed = copy.copy(self)
        borrowed._adopt(module)
        return borrowed

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_hosts": {}}

    def _adopt(self, module: nn.Module) -> None:
        self._module = module
        self._hosts: dict[tuple[torch.dtype, torch.device], _Host] = {}

    def _one(self, params: Tensor, inputs: Experiences) -> Tensor:
        views = [
            part.view(shape) for part, shape in zip(params.split(self._sizes), self._shapes, strict=True)
        ]
        with self._host(params).holding(views) as module:
            return module(inputs) if self._forward is None else self._forward(module, inputs)

    def _loop(self, params: Tensor, inputs: Experiences) -> Tensor:
        rows = [self._one(row, take(inputs, n)) for n, row in enumerate(params)]
        if not all(isinstance(row, Tensor) for row in rows):
            return rows[0]  # no tensor either: the caller says so
        return rows[0][None] if len(rows) == 1 else torch.stack(rows)

    def _try_vmap(self, params: Tensor, inputs: Experiences) -> Tensor:
        """The first batch shows whether torch can compute this module for all genomes at once."""
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message=".*performance drop", category=UserWarning)
                outputs = torch.vmap(self._one)(params, inputs)
            self._batching = "vmap"
        except (Unsuitable, torch.OutOfMemoryError):
            raise
        except Exception:
            outputs = self._loop(params, inputs)  # raises again if it is the module that fails, not vmap
            self._batching = "loop"
        return outputs

    def _host(self, params: Tensor) -> _Host:
        """The module, or a copy whose buffers and frozen weights have the dtype and device of the genomes."""
        key = (params.dtype, params.device)
        if key not in self._hosts:
            named = dict(self._module.named_parameters())
            fixed = [p for name, p in named.items() if name not in self.names] + list(self._module.buffers())
            module = self._module
            if any(
                t.device != params.device or (t.is_floating_point() and t.dtype != params.dtype)
                for t in fixed
            ):
                module = copy.deepcopy(module).to(device=params.device, dtype=params.dtype)
            self._hosts[key] = _Host(module, self.names)
        return self._hosts[key]

    def _named(self, module: nn.Module) -> dict[str, nn.Parameter]:
        named = dict(module.named_parameters())
        for name, shape in zip(self.names, self._shapes, strict=True):
            if name not in named or named[name].shape != shape:
                found = tuple(named[name].shape) if name in named else "none of that name"
                raise ValueError(f"expected a parameter {name!r} of shape {tuple(shape)}, got {found}")
        return named


class _Host:
    """A module whose trainable parameters can be replaced for the time of a call."""

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        self._module = module
        self._lock = threading.RLock()  # threads may share a network, but not its module at the same time
        self._recurrent = [layer for layer in module.modules() if isinstance(layer, nn.RNNBase)]
        self._attention = any(isinstance(layer, nn.MultiheadAttention) for layer in module.modules())
        places: dict[int, list[tuple[dict[str, Any], str]]] = {}  # more than one where a parameter is tied
        for layer in module.modules():
            for key, parameter in layer._parameters.items():
                if parameter is not None:
                    places.setdefault(id(parameter), []).append((layer._parameters, key))
        named = dict(module.named_parameters())
        self._slots = [(named[name], places[id(named[name])]) for name in names]

    @contextmanager
    def holding(self, tensors: list[Tensor]) -> Iterator[nn.Module]:
        """The module with these tensors in place of its parameters."""
        with self._lock, self._differentiable_kernels():
            try:
                self._fill(tensors)
                yield self._module
            finally:
                self._fill([parameter for parameter, _ in self._slots])

    def _fill(self, tensors: list[Any]) -> None:
        for tensor, (_, slots) in zip(tensors, self._slots, strict=True):
            for parameters, key in slots:
                parameters[key] = tensor
        for layer in self._recurrent:  # these keep a second list of their weights
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    @contextmanager
    def _differentiable_kernels(self) -> Iterator[None]:
        """Avoid kernels that lack gradients: cuDNN's recurrent ones in eval mode, fast attention."""
        with ExitStack() as stack:
            if self._recurrent and torch.backends.cudnn.is_available():
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if self._attention and torch.backends.mha.get_fastpath_enabled():
                stack.callback(torch.backends.mha.set_fastpath_enabled, True)
                torch.backends.mha.set_fastpath_enabled(False)
            yield


def refuse_training_mode(module: nn.Module) -> None:
    """Refuse modules whose outputs for one experience depend on the others or on chance.

    Raises:
        ValueError: Naming the layer and the reason.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
            raise ValueError(
                f"expected batch normalisation with running statistics, got {name!r} "
                "without: the outputs for one experience depend on all others"
            )
        reason = _why_not_in_training(layer) if layer.training else None
        if reason:
            raise ValueError(
                f"expected a module in eval mode, got {type(layer).__name__} {name!r} in train mode, where "
                f"{reason}: call module.eval() first"
            )


def _why_not_in_training(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return "the outputs for one experience depend on all others"
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
        return "every call changes its running statistics"
    if "SpectralNorm" in type(layer).__name__:
        return "every call changes its estimate of the norm"
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        drop = layer.p
    elif isinstance(layer, (nn.RNNBase, nn.MultiheadAttention)):
        drop = layer.dropout
    else:
        return None
    return f"dropout ({drop:g}) makes the outputs depend on chance" if drop > 0 else None
