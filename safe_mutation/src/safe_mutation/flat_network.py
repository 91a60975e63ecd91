"""An nn.Module as a function of a flat vector of its weights."""

from __future__ import annotations

import copy
import fnmatch
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from safe_mutation.arrays import is_array, read_array
from safe_mutation.batching import faithful
from safe_mutation.drawing import expand_to_parents
from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves, take
from safe_mutation.layer_sequence import LinearLayer, run_sequence
from safe_mutation.module_host import ModuleHost
from safe_mutation.module_state import copy_module
from safe_mutation.network import run
from safe_mutation.out_of_memory import lacks_memory
from safe_mutation.plain_mode import plain_mode
from safe_mutation.plan import Plan, Plans, Ways, kind_of
from safe_mutation.reading import read_experiences
from safe_mutation.refused_modules import refuse_unsuitable
from safe_mutation.repeatable import (
    a_few,
    refuse_different_answers,
    refuse_joint_answers,
    refuse_writing,
    same_random_numbers,
)
from safe_mutation.stacked import Stacked, Unstackable
from safe_mutation.stacked_functions import linear_of_values
from safe_mutation.torch_internals import convert, converted, is_transformed, leaves_of_graph
from safe_mutation.unfit_parameters import refuse_two_devices, refuse_unwritable, trainable_parameters

Forward = Callable[[nn.Module, Any], Any]

# Convolutions of many genomes become grouped ones, slower than a loop.
_LOOPED = (nn.modules.conv._ConvNd,)

_MAKING = threading.RLock()


class FlatNetwork:
    """A module as ``network(params, inputs)``, for one genome or for a batch of them.

    The genome holds the trainable parameters in the order of ``module.named_parameters()``, tied ones
    once; frozen parameters and buffers are no part of it. The network works on its own copy: the
    module is never modified, and later changes to it are not seen. What a forward pass changes in the
    copy (a hidden state, a cached distribution, counts) is put back after each call.

    Args:
        module: Maps inputs (I, ...) to outputs (I, K), or to (I, T, K) for outputs at each time step. It may
            be compiled: the module behind it is used.
        forward: Called as ``forward(module, inputs)`` where the module's own call needs adapting, for
            example ``lambda module, x: module(x)[0]``, or one that resets a hidden state first.
        plan: What of the way it is computed is not to be found out; see ``Plan``.

    Attributes:
        num_params: Length P of a genome.
        names: Names of the parameters in the genome.
        sizes: Their numbers of weights.
        plans: How it is computed, for each kind of experiences that it has seen.

    Raises:
        ValueError: If the module has no trainable parameter, or some that are lazy or complex; or if it holds
            batch normalisation or dropout in training mode: the outputs of the one depend on the other
            experiences, of the other on chance.
    """

    def __init__(
        self, module: nn.Module, *, forward: Forward | None = None, plan: Plan | None = None
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"expected an nn.Module, got {type(module).__name__}")
        module = _uncompiled(module)
        refuse_unsuitable(module)
        self._adopt(copy_module(module))
        self._given = [weakref.ref(parameter) for parameter in module.parameters()]
        self._forward = forward
        trainable = trainable_parameters(self._module)
        self.names = list(trainable)
        self._shapes = [p.shape for p in trainable.values()]
        self.sizes = [p.numel() for p in trainable.values()]
        self.num_params = sum(self.sizes)
        self._slow_to_map = any(isinstance(layer, _LOOPED) for layer in self._module.modules())
        self.plans = Plans(plan)

    def __repr__(self) -> str:
        return f"FlatNetwork({type(self._module).__name__}, num_params={self.num_params:,})"

    def __call__(self, params: Any, inputs: Any) -> Any:
        """Compute outputs.

        Args:
            params: Genomes (N, P), or one genome (P,), torch or numpy.
            inputs: Inputs (N, I, ...), or (I, ...) with one genome; an array, or a dict or tuple of them.

        Returns:
            Outputs (N, I, K) or (N, I, T, K), for one genome without the N; numpy for numpy genomes.

        Raises:
            ValueError: If the genomes have another shape.
        """
        if isinstance(params, np.ndarray):
            return self._of_arrays(params, inputs)
        if params.ndim not in (1, 2) or params.shape[-1] != self.num_params:
            p = self.num_params
            raise ValueError(f"expected genomes of shape ({p},) or (N, {p}), got {tuple(params.shape)}")
        if params.ndim == 1:
            return self._one(params, inputs)
        shapes = [tuple(leaf.shape) for leaf in leaves(inputs)]
        if any(shape[:1] != (len(params),) for shape in shapes):
            wanted = f"({len(params)}, I, ...) for {len(params)} genomes"
            raise ValueError(f"expected inputs of shape {wanted}, got {', '.join(map(str, shapes))}")
        if len(params) == 1 and not self._could_be_sequence(params, inputs):
            return self._loop(params, inputs)
        return self._batched_or_looped(self._batching(params, inputs), params, inputs)

    def parts(self, genome: Tensor) -> list[Tensor]:
        """Views of the parameters in a genome (P,)."""
        parts = genome.split(self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def of_parts(self, parts: Sequence[Tensor], params: Tensor, inputs: Experiences) -> Any:
        """Outputs (1, I, ...) as a call with one genome gives them, from other tensors as its parameters.

        Args:
            parts: What ``parts(params[0])`` returns, or copies of it, such as leaves of a graph; for what
                ``is_sequence`` better with the axis of one genome in front, as a graph holds the gradients of
                tensors that it reshapes until the end.
            params: The genome (1, P).
            inputs: Inputs (1, I, ...).
        """
        host = self._host(params)
        layers = host.sequence
        sequence = self._could_be_sequence(params, inputs)
        if layers is not None and sequence and self._batching(params, inputs) == "stacked":
            stack = _shaped(parts, [(1, *shape) for shape in self._shapes])
            return host.call(stack, lambda _: run_sequence(layers, inputs, linear_of_values))
        outputs = host.call(_shaped(parts, self._shapes), self._function(take(inputs, 0)))
        return outputs[None] if isinstance(outputs, Tensor) else outputs

    def is_sequence(self, params: Tensor, inputs: Experiences) -> bool:
        """Whether the module is, and is computed as, linear layers and activations one after the other."""
        stacked = self.plans.of(kind_of(params, inputs)).batching == "stacked"
        return stacked and self._could_be_sequence(params, inputs)

    def run_sequence(self, params: Tensor, inputs: Experiences, linear: LinearLayer) -> Tensor:
        """Outputs (N, I, K) of a module that is such a sequence, with another function for linear layers."""
        outputs: Tensor = self._stack(params, inputs, linear)
        return outputs

    def prepare(self, params: Tensor, inputs: Experiences) -> Ways:
        """Find out, once for a kind of experiences, what has to be known before outputs can be trusted.

        Args:
            params: Genomes (N, P).
            inputs: Experiences (N, I, ...) or ExperienceSets.

        Raises:
            ValueError: If the module cannot take the experiences, or answers the same ones differently.
            TypeError: If its outputs are no tensor.
        """
        ways = Ways(self.plans, kind_of(params, inputs))
        if ways.plan.outputs is None:
            genome, few = a_few(params, inputs)
            with same_random_numbers(params.device), torch.no_grad():
                outputs = run(self, genome, few)
                refuse_writing(genome, few)
                self._ask_twice(genome[0], take(few, 0))
                refuse_joint_answers(lambda fewer: run(self, genome, fewer), few, outputs)
            unreached = self._unreached(genome[0], take(few, 0))
            if unreached is not None and len(unreached) == len(self.names):
                raise ValueError(
                    "expected outputs that depend on the module's trainable parameters, got some that depend "
                    "on none: does forward use copies, or take them from where nothing can be put in their "
                    "place (a closure, a global)?"
                )
            ways.note(outputs=outputs.shape[2], unreached=unreached)
        if ways.plan.batching is None:
            if isinstance(inputs, ExperienceSets):
                widest = max(inputs.rectangles, key=lambda part: count(part.inputs))
                params, inputs = params[: count(widest.inputs)], widest.inputs
            ways.note(batching=self._find_batching(params, inputs))
        return ways

    def flatten(self, module: nn.Module | None = None) -> Tensor:
        """The genome (P,) of a module of the same architecture, by default of the one this was made from."""
        named = self._named(self._module if module is None else module)
        refuse_two_devices(named)
        return torch.cat([named[name].detach().reshape(-1) for name in self.names])

    def load_(self, module: nn.Module, params: Any) -> nn.Module:
        """Write a genome (P,), numpy or torch, into a module's parameters in place; returns the module."""
        genome = params if isinstance(params, Tensor) else torch.tensor(np.asarray(params))
        if tuple(genome.shape) != (self.num_params,):
            raise ValueError(f"expected a genome of shape ({self.num_params},), got {tuple(genome.shape)}")
        named = self._named(module)
        refuse_unwritable({name: named[name] for name in self.names})
        with torch.no_grad():
            for name, part in zip(self.names, self.parts(genome), strict=True):
                named[name].copy_(part)
        return module

    def to_module(self, params: Any) -> nn.Module:
        """A new module with the weights of a genome (P,), numpy or torch."""
        with self._original.alone():
            module = copy_module(self._module)
        return self.load_(module, params)

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
        return self._mark(chosen)

    def reaching(self, experiences: Experiences) -> Tensor:
        """Mark the weights that the outputs depend on, shape (P,), bool.

        A policy may hold others, of a critic for example, which no sensitivity speaks about and a mutation
        had better leave alone: ``mask=network.reaching(experiences)``.

        Args:
            experiences: Experiences (I, ...) as a call of an operator takes them; one is enough, unless they
                take different ways.

        Raises:
            ValueError: If the module cannot take them.
            TypeError: If its outputs have no gradients, which would say what they depend on.
        """
        genome = self.flatten()[None]
        with plain_mode():
            inputs = expand_to_parents(read_experiences(experiences, genome, False), 1, False)
            self.prepare(genome, inputs)
            with torch.no_grad():
                run(self, genome, inputs)  # says what is wrong where the module cannot take them
            sets = isinstance(inputs, ExperienceSets)
            parts = [part.inputs for part in inputs.rectangles] if sets else [inputs]
            unreached = set(self.names)
            for part in parts:
                of_part = self._unreached(genome[0], take(part, 0))
                if of_part is None:
                    raise TypeError(
                        "expected outputs that are differentiable in the weights, got some without "
                        "gradients: nothing says which weights they depend on"
                    )
                unreached &= set(of_part)
        return self._mark([name not in unreached for name in self.names])

    def borrowing(self, module: nn.Module) -> FlatNetwork:
        """The same network on another module, uncopied, with that module's buffers and frozen weights.

        Raises:
            ValueError: If it is unsuitable, or its trainable parameters are others.
        """
        module = _uncompiled(module)
        refuse_unsuitable(module)
        self._named(module)
        if (trainable := list(trainable_parameters(module))) != self.names:
            raise ValueError(
                f"expected trainable parameters {self.names}, as of the module that the network was made "
                f"from, got {trainable}"
            )
        borrowed = copy.copy(self)  # with the same plans
        borrowed._adopt(module)
        return borrowed

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "_original"}
        return kept | {"_hosts": {}, "_given": []}

    def _adopt(self, module: nn.Module) -> None:
        self._module = module
        self._hosts: dict[tuple[torch.dtype, torch.device], ModuleHost] = {}

    @cached_property
    def _original(self) -> ModuleHost:
        return ModuleHost(self._module, self.names)

    def _one(self, params: Tensor, inputs: Experiences) -> Any:
        return self._host(params).call(self.parts(params), self._function(inputs))

    def _loop(self, params: Tensor, inputs: Experiences) -> Any:
        rows = [self._one(row, take(inputs, n)) for n, row in enumerate(params)]
        if not all(isinstance(row, Tensor) for row in rows):
            return rows[0]  # no tensor either: the caller says so
        return rows[0][None] if len(rows) == 1 else torch.stack(rows)

    def _batching(self, params: Tensor, inputs: Experiences) -> str:
        """How these are computed: as was found out, or is now."""
        batching = self.plans.of(kind_of(params, inputs)).batching
        if batching is None:
            if is_transformed(params):
                return "looped"  # nothing can be tried out here
            batching = self._find_batching(params, inputs)
            self.plans.note(kind_of(params, inputs), batching=batching)
        return batching

    def _batched_or_looped(self, batching: str, params: Tensor, inputs: Experiences) -> Any:
        """Outputs in a way that was found with other experiences, for which a module may go another."""
        try:
            return self._batched(batching, params, inputs)
        except Exception as error:
            if batching == "looped" or self.plans.chosen.batching or lacks_memory(error):
                raise
        outputs = self._loop(params, inputs)  # or an error that is the module's own
        if not is_transformed(params):
            self.plans.note(kind_of(params, inputs), batching="looped")
        return outputs

    def _batched(self, batching: str, params: Tensor, inputs: Experiences) -> Any:
        if batching == "mapped":
            return torch.vmap(self._one)(params, inputs)
        return self._stack(params, inputs) if batching == "stacked" else self._loop(params, inputs)

    def _could_be_sequence(self, params: Tensor, inputs: Experiences) -> bool:
        simple = self._forward is None and isinstance(inputs, Tensor) and inputs.ndim == 3
        return simple and self._host(params).sequence is not None

    def _stack(self, params: Tensor, inputs: Experiences, linear: LinearLayer = linear_of_values) -> Any:
        views = [
            part.view(-1, *shape)
            for part, shape in zip(params.split(self.sizes, 1), self._shapes, strict=True)
        ]
        host = self._host(params)
        layers = host.sequence
        if layers is not None and self._could_be_sequence(params, inputs):
            return host.call(views, lambda _: run_sequence(layers, inputs, linear))
        stacks = map_leaves(lambda x: Stacked.of(x, params), inputs)
        outputs = host.call(views, self._function(stacks))
        if not isinstance(outputs, Stacked):
            raise Unstackable("the outputs are no stack")
        return outputs.rows()

    def _find_batching(self, params: Tensor, inputs: Experiences) -> str:
        """The first way that torch can do, and that gives what the module gives for single genomes."""
        if self._slow_to_map or (len(params) == 1 and not self._could_be_sequence(params, inputs)):
            return "looped"
        ways = {way: partial(self._batched, way) for way in ("stacked", "mapped")}
        # Sequences of torch's own layers need no look at gradients, for which large ones have no room.
        gradients = not self._could_be_sequence(params, inputs)
        return faithful(ways, self._loop, params, inputs, self.sizes, gradients=gradients) or "looped"

    def _ask_twice(self, genome: Tensor, inputs: Experiences) -> None:
        host, views, function = self._host(genome), self.parts(genome), self._function(inputs)
        refuse_different_answers(lambda times: host.answers(views, function, times))

    def _unreached(self, genome: Tensor, inputs: Experiences) -> tuple[str, ...] | None:
        """Names of the parameters that the outputs do not depend on; None where there are no gradients.

        Raises:
            ValueError: If they depend on parameters that nothing has taken the place of.
        """
        host = self._host(genome)
        views = [view.detach().requires_grad_() for view in self.parts(genome)]
        try:
            with torch.enable_grad():
                outputs = host.call(views, self._function(inputs))
        except RuntimeError as error:
            if lacks_memory(error):
                raise
            return None
        if not outputs.requires_grad:
            return None
        reached = leaves_of_graph(outputs)
        if stray := [n for n, own in zip(self.names, host.parameters, strict=True) if id(own) in reached]:
            raise ValueError(
                "expected a module that refers to its parameters by attributes, lists and dicts, got one "
                f"whose outputs use {stray} from elsewhere (a tuple, a partial?): they cannot be replaced"
            )
        if reached & {id(given) for weak in self._given if (given := weak()) is not None}:
            raise ValueError(
                "expected a module whose copy uses parameters of its own, got one that holds itself where a "
                "copy still finds the original (torch.compile of a method, a lambda?): nothing replaces them"
            )
        return tuple(n for n, view in zip(self.names, views, strict=True) if id(view) not in reached)

    def _of_arrays(self, params: np.ndarray, inputs: Any) -> np.ndarray:
        genomes = torch.tensor(params)
        with torch.no_grad():
            outputs: Tensor = self(genomes, map_leaves(lambda x: _as_tensor(x, genomes), inputs))
        return outputs.cpu().numpy()

    def _function(self, inputs: Experiences) -> Callable[[nn.Module], Any]:
        forward = self._forward

        def call(module: nn.Module) -> Any:
            outputs = module(inputs) if forward is None else forward(module, inputs)
            foreign = is_array(outputs) and not isinstance(outputs, Tensor)
            return read_array(outputs, "outputs") if foreign else outputs

        return call

    def _mark(self, chosen: list[bool]) -> Tensor:
        return torch.tensor(chosen).repeat_interleave(torch.tensor(self.sizes))

    def _host(self, params: Tensor) -> ModuleHost:
        """The module, or a copy whose buffers and frozen weights have the dtype and device of the genomes."""
        key = (params.dtype, params.device)
        if key not in self._hosts:
            with _MAKING:  # threads that come at the same time must share the lock of one host
                if key not in self._hosts:
                    self._hosts[key] = self._make_host(*key)
        return self._hosts[key]

    def _make_host(self, dtype: torch.dtype, device: torch.device) -> ModuleHost:
        named = dict(self._module.named_parameters())
        fixed = [p for name, p in named.items() if name not in self.names] + list(self._module.buffers())
        if any(t.device != device or t.dtype != converted(t.dtype, dtype) for t in fixed):
            with self._original.alone():
                module = copy_module(self._module)
            return ModuleHost(convert(module, dtype, device), self.names)
        return self._original

    def _named(self, module: nn.Module) -> dict[str, nn.Parameter]:
        named = dict(_uncompiled(module).named_parameters())
        for name, shape in zip(self.names, self._shapes, strict=True):
            if name not in named or named[name].shape != shape:
                found = tuple(named[name].shape) if name in named else "none of that name"
                raise ValueError(f"expected a parameter {name!r} of shape {tuple(shape)}, got {found}")
        return named


def _uncompiled(module: nn.Module) -> nn.Module:
    """The module behind one that torch.compile has wrapped."""
    return module._orig_mod if type(module).__name__ == "OptimizedModule" else module  # type: ignore[return-value]


def _shaped(parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    both = zip(parts, shapes, strict=True)
    return [part if part.shape == shape else part.view(shape) for part, shape in both]


def _as_tensor(value: Any, like: Tensor) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.tensor(np.asarray(value))
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)
