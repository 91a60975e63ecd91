"""A module as it was: copies of what deepcopy refuses, and the way back from what a forward pass changes.

Policies keep things between calls: a hidden state, the counts of a normaliser, the last distribution.
Weights are looked at through many forward passes here, none of which may leave a trace.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode

# Tensors up to this size are compared number by number: a version counter misses changes through .data.
COMPARED = 1024
_LEFT_ALONE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, torch.optim.Optimizer)


def copy_module(module: nn.Module) -> nn.Module:
    """A deep copy, also of modules that hold the results of earlier passes, which torch refuses to copy."""
    with _CopyGraphTensors():
        return copy.deepcopy(module)


class _CopyGraphTensors(TorchFunctionMode):
    """Lets deepcopy take tensors that belong to a graph, as values without it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]
        return func(*args, **(kwargs or {}))


class ModuleState:
    """All that a module holds besides its parameters, and the way back to it.

    What attributes of torch's own layers refer to is taken to be left alone by a forward pass in eval mode.
    Attributes themselves are not: hooks such as those of ``torch.nn.utils.prune`` set them. Nor are buffers,
    and everything that other modules refer to.

    Args:
        module: Its state of now is what ``restore`` brings back.
    """

    def __init__(self, module: nn.Module) -> None:
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._sets: list[tuple[set[Any], set[Any]]] = []
        self._tensors: list[tuple[Tensor, Tensor]] = []
        self._versions: list[int] = []
        self._arrays: list[tuple[np.ndarray, np.ndarray]] = []
        self._seen: dict[int, Any] = {}  # with a reference, so that no address is used again
        todo: list[Any] = [module]
        while todo:
            todo += self._visit(todo.pop())

    def references(self, parameters: Sequence[nn.Parameter]) -> list[list[tuple[Any, Any]]]:
        """Where the module refers to parameters, other than as its layers' own: in lists, dicts, attributes.

        Args:
            parameters: Those looked for.

        Returns:
            For each of them containers and the keys in them; only such that can be written to.
        """
        found: dict[int, list[tuple[Any, Any]]] = {id(one): [] for one in parameters}
        held: list[tuple[Any, Any]] = [(mapping, saved.items()) for mapping, saved in self._dicts]
        held += [(sequence, enumerate(items)) for sequence, items in self._sequences]
        for container, items in held:
            for key, value in items:
                if id(value) in found and _writable(container, key):
                    found[id(value)].append((container, key))
        return list(found.values())

    def restore(self) -> None:
        """Bring the state back."""
        for mapping, saved in self._dicts:
            if len(mapping) != len(saved) or not all(map(is_, mapping.values(), saved.values())):
                for key in mapping.keys() - saved.keys():
                    del mapping[key]
                mapping.update(saved)
        for sequence, items in self._sequences:
            if len(sequence) != len(items) or not all(map(is_, sequence, items)):
                sequence.clear()
                sequence.extend(items)
        for collection, members in self._sets:
            if collection != members:
                collection.clear()
                collection.update(members)
        for place, (tensor, values) in enumerate(self._tensors):
            if tensor._version != self._versions[place] or (
                tensor.numel() <= COMPARED and not _same(tensor, values)
            ):
                with torch.no_grad():
                    tensor.copy_(values)
                self._versions[place] = tensor._version
        for array, kept in self._arrays:
            if array.tobytes() != kept.tobytes():
                array[...] = kept

    def _visit(self, thing: Any) -> list[Any]:
        """Note one thing, and return what it refers to."""
        if id(thing) in self._seen or isinstance(thing, (nn.Parameter, *_LEFT_ALONE)):
            return []
        self._seen[id(thing)] = thing
        if isinstance(thing, Tensor):
            if not thing.is_inference():  # which cannot be changed in place
                self._tensors.append((thing, thing.detach().clone()))
                self._versions.append(thing._version)
            return []
        if isinstance(thing, np.ndarray):
            if thing.dtype != object and thing.flags.writeable:
                self._arrays.append((thing, thing.copy()))
            return []
        if isinstance(thing, nn.Module):
            own = vars(thing)
            self._dicts.append((own, dict(own)))
            if type_before_parametrizations(thing).__module__.startswith("torch.nn."):
                return [own["_buffers"], *own["_modules"].values()]
            return [value for key, value in own.items() if key != "_parameters"]
        if isinstance(thing, dict):
            self._dicts.append((thing, dict(thing)))
            return list(thing.values())
        if isinstance(thing, (list, deque)):
            self._sequences.append((thing, list(thing)))
            return list(thing)
        if isinstance(thing, set):
            self._sets.append((thing, set(thing)))
            return []
        if isinstance(thing, tuple):
            return list(thing)
        if isinstance(getattr(thing, "__dict__", None), dict):
            return [vars(thing)]
        return []


def _writable(container: Any, key: Any) -> bool:
    try:
        container[key] = container[key]
    except Exception:  # a class of its own
        return False
    return True


def _same(tensor: Tensor, values: Tensor) -> bool:
    return tensor.shape == values.shape and torch.equal(tensor, values)
