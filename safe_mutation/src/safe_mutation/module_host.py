"""A module whose trainable parameters are replaced for the time of a call, and which forgets the call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from safe_mutation.layer_sequence import sequence_of
from safe_mutation.module_state import ModuleState
from safe_mutation.plain_kernels import ExactEmbeddings, OwnKernels, PlainKernels
from safe_mutation.torch_internals import is_dual, is_transformed

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)

_CHECKPOINTED = (
    "activation checkpointing (torch.utils.checkpoint) would run the module again for its gradients, with "
    "other weights than those of the genome: turn it off"
)


class ModuleHost:
    """Calls a module with other tensors in place of its parameters.

    Args:
        module: The module; between calls it is as it was when this was made.
        names: Names of the parameters that are replaced.

    Attributes:
        sequence: Its layers, if it is nothing but linear layers and activations one after the other.
        parameters: What is replaced.
    """

    def __init__(self, module: nn.Module, names: list[str]) -> None:
        self._module = module
        self._lock = threading.RLock()  # threads may share a network, but not its module at the same time
        self._state = ModuleState(module)
        layers = list(module.modules())
        self.sequence = sequence_of(module)
        self._recurrent_layers = [layer for layer in layers if isinstance(layer, nn.RNNBase)]
        self._any_recurrent = any(isinstance(layer, _RECURRENT) for layer in layers)
        self._attention = any(isinstance(layer, nn.MultiheadAttention) for layer in layers)
        self._embeddings = any(isinstance(layer, _EMBEDDINGS) for layer in layers)
        places: dict[int, list[tuple[dict[str, Any], str]]] = {}  # more than one where a parameter is tied
        for layer in layers:
            for key, parameter in layer._parameters.items():
                if parameter is not None:
                    places.setdefault(id(parameter), []).append((layer._parameters, key))
        named = dict(module.named_parameters())
        self.parameters = [named[name] for name in names]
        self._slots = [places[id(parameter)] for parameter in self.parameters]
        self._references = self._state.references(self.parameters)

    def call(self, tensors: Sequence[Any], function: Callable[[nn.Module], Any]) -> Any:
        """Return ``function(module)`` with these tensors in place of the parameters."""
        return self.answers(tensors, function, times=1)[0]

    def answers(self, tensors: Sequence[Any], function: Callable[[nn.Module], Any], times: int) -> list[Any]:
        """The same a number of times, without forgetting anything in between."""
        embeddings = ExactEmbeddings() if self._embeddings else nullcontext()
        kernels = self._differentiable_kernels(tensors)
        with self._holding(tensors) as module, embeddings, kernels, _no_second_run(tensors):
            return [function(module) for _ in range(times)]

    def alone(self) -> AbstractContextManager[Any]:
        """Keep other threads from the module, whose own parameters are in their places."""
        return self._lock

    @contextmanager
    def _holding(self, tensors: Sequence[Any]) -> Iterator[nn.Module]:
        with self._lock:
            try:
                for tensor, places in zip(tensors, self._references, strict=True):
                    for container, key in places:
                        container[key] = tensor
                self._fill(tensors)
                yield self._module
            finally:
                self._fill(self.parameters)
                self._state.restore()  # with the references

    def _fill(self, tensors: Sequence[Any]) -> None:
        for tensor, slots in zip(tensors, self._slots, strict=True):
            for parameters, key in slots:
                parameters[key] = tensor
        for layer in self._recurrent_layers:  # these keep a second list of their weights
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    def _differentiable_kernels(self, tensors: Sequence[Any]) -> AbstractContextManager[Any]:
        """Avoid kernels without the gradients that are needed."""
        fused = self._any_recurrent or self._attention
        if fused and any(is_transformed(tensor) or is_dual(tensor) for tensor in tensors):
            return PlainKernels()
        if self._recurrent_layers and any(tensor.is_cuda for tensor in tensors):
            return PlainKernels()  # cuDNN's recurrent kernels have no gradients in eval mode
        return OwnKernels() if self._attention else nullcontext()


def _no_second_run(tensors: Sequence[Any]) -> AbstractContextManager[Any]:
    """Raise a RuntimeError where torch would compute a part again when gradients are asked for."""
    if tensors[0].requires_grad:
        return torch.autograd.graph.disable_saved_tensors_hooks(_CHECKPOINTED)
    return nullcontext()
