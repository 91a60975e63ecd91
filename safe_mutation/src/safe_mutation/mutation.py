"""What all operators share: reading a call, giving back the children, and saying what was done."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, ClassVar, Literal, Protocol, TypeVar, overload

import numpy as np
import torch
from torch import Tensor, nn

from safe_mutation import line_search
from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.batched_network import planned
from safe_mutation.drawing import drawn_before_reading, expand_to_parents, subsample
from safe_mutation.equal_experiences import counted_once
from safe_mutation.experience_sets import naming_experiences
from safe_mutation.experiences import Experiences
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.forgotten_per_parent import refuse_forgotten_per_parent
from safe_mutation.genomes import Genomes
from safe_mutation.info import DivergenceNotReached, MutationInfo
from safe_mutation.intensity import Divergence, read_divergence
from safe_mutation.line_search import LineSearch, Step
from safe_mutation.noise import Generator, read_generator, read_owned
from safe_mutation.plain_mode import plain_mode
from safe_mutation.plan import Plan
from safe_mutation.reading import read_experiences
from safe_mutation.request import Request, read_mask
from safe_mutation.sensitivity import divergence
from safe_mutation.unfit_parameters import refuse_two_devices, refuse_unwritable, trainable_parameters


class Array(Protocol):
    """A numpy array or a torch tensor."""

    def __dlpack_device__(self) -> tuple[Any, Any]:
        """Where it lives."""


Genome = TypeVar("Genome", bound=Array)
Module = TypeVar("Module", bound=nn.Module)


@documented
@dataclass(frozen=True)
class Mutation:
    """A mutation operator: settings only, immutable, and picklable if the network is.

    A subclass says in ``_mutate`` how children are made; everything around that is done here.
    """

    network: Any = field(
        metadata=doc(
            "network(params (N, P), inputs (N, I, ...)) -> outputs (N, I, K), or (N, I, T, K) for "
            "sequences, lane n of which depends on params[n] alone; or an nn.Module, which FlatNetwork makes "
            "one of."
        )
    )
    experiences: Experiences | Callable[[], Experiences] | None = field(
        default=None,
        kw_only=True,
        repr=False,
        compare=False,
        metadata=doc(
            "Recorded inputs (I, ...) of all parents, used when a call brings none; or a function that "
            "returns them. With per_parent=True in the call (N, I, ...)."
        ),
    )
    max_experiences: int | None = field(
        default=100,
        kw_only=True,
        metadata=doc("Use at most so many for each parent, drawn without replacement; None for all."),
    )
    mask: Any = field(
        default=None,
        kw_only=True,
        repr=False,
        compare=False,
        metadata=doc("Which weights mutate (P,), bool; FlatNetwork.mask makes one from parameter names."),
    )
    generator: Generator | Callable[[], Generator] = field(
        default=None,
        kw_only=True,
        repr=False,
        compare=False,
        metadata=doc(
            "Random numbers of calls that bring no generator: a seed (of a generator that moves on with each "
            "call), a generator, or a function that returns one or the other. None for fresh entropy."
        ),
    )

    divergence: Divergence | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            "How far a child's outputs shall be from its parent's: the mean over experiences of the squared "
            "distance (equation 1). A number; a pair (low, high) from which each child's is drawn "
            "log-uniformly; or a list with one for each parent."
        ),
    )
    tolerance: float = field(
        default=0.1, kw_only=True, metadata=doc("Accepted relative deviation from the divergence.")
    )
    max_passes: int = field(
        default=40,
        kw_only=True,
        metadata=doc("Forward passes before the search for the divergence gives up."),
    )
    chunk_size: int | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            "Parents computed at once, or gradients of one experience and output each where they are needed "
            "one by one; by default what fits into caches."
        ),
    )
    precision: Literal["float64"] | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            '"float64" computes in double precision and rounds the children: they are then the same on every '
            "processor and for every size of batch and chunk, but for one number in millions. None computes "
            "in the genomes' own precision, half precision in float32; children differ in their last digits."
        ),
    )

    reusable_sensitivity: ClassVar[bool] = False
    """Whether ``op.sensitivity(parents, ...)`` exists, whose result may be kept with the parents."""

    def __post_init__(self) -> None:
        if self.needs_experiences or self.network is not None:
            object.__setattr__(self, "network", planned(self.network))
        require_count("max_experiences", self.max_experiences, or_none=True)
        object.__setattr__(self, "generator", read_owned(self.generator))
        if self.divergence is not None:
            object.__setattr__(self, "divergence", read_divergence(self.divergence))
        require_positive("tolerance", self.tolerance)
        require_count("max_passes", self.max_passes, least=3)
        require_count("chunk_size", self.chunk_size, or_none=True)
        if self.precision not in (None, "float64"):
            raise ValueError(f"expected precision to be 'float64' or None, got {self.precision!r}")

    @property
    def needs_experiences(self) -> bool:
        """Whether a call has to know experiences."""
        return True

    @property
    def plan(self) -> Plan | None:
        """How the network was computed in the last call; None before the first, or without a network."""
        return None if self.network is None else self.network.plans.latest

    @overload
    def __call__(
        self,
        params: Genome,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        sensitivity: Any = None,
        generator: Generator | Sequence[Generator] = None,
        return_info: Literal[False] = False,
    ) -> Genome: ...

    @overload
    def __call__(
        self,
        params: Genome,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        sensitivity: Any = None,
        generator: Generator | Sequence[Generator] = None,
        return_info: Literal[True],
    ) -> tuple[Genome, MutationInfo]: ...

    def __call__(
        self,
        params: Genome,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        sensitivity: Any = None,
        generator: Generator | Sequence[Generator] = None,
        return_info: bool = False,
    ) -> Genome | tuple[Genome, MutationInfo]:
        """Mutate a genome, or each genome of a batch.

        Args:
            params: Parents (N, P), or one parent (P,); numpy, torch, or of a library that speaks DLPack such
                as JAX; left untouched.
            experiences: Recorded inputs (I, ...) that all parents share, or with ``per_parent`` (N, I, ...):
                an array, or a dict or tuple of arrays. Or a list with one of these for each experience,
                sequences of different length for example; or with ``per_parent`` for each parent.
            per_parent: Whether every parent brings its own experiences; shapes cannot tell.
            sensitivity: What ``op.sensitivity(params, ...)`` returned, to use again: with the same generator
                the children are those of the call that computes it. Only where ``op.reusable_sensitivity``.
            generator: A seed or generator for the whole batch, or a sequence of them, one per parent:
                child n is then what a single call with ``generator[n]`` gives. None for the operator's own,
                or fresh entropy where it has none.
            return_info: Also return a MutationInfo.

        Returns:
            Children: a fresh array like ``params``; with ``return_info`` a pair (children, info).

        Raises:
            ValueError: On a genome of the wrong length, values that are not finite, and missing or empty
                experiences or ones that the network cannot take.
            TypeError: On arrays of the wrong kind or dtype, and on a network without gradients (but for SMR).
        """
        with plain_mode():
            if sensitivity is not None and not self.reusable_sensitivity:
                raise TypeError(f"{type(self).__name__} expected no sensitivity: {self._why_no_sensitivity}")
            used = self.needs_experiences or (return_info and self.network is not None)
            # A sensitivity stands for the experiences, but where children are compared with their parents.
            required = self.needs_experiences and (sensitivity is None or self.divergence is not None)
            request = self._read(params, experiences, per_parent, generator, used=used, required=required)
            with naming_experiences(request.inputs):
                children, info = self._mutate(request, sensitivity, return_info)
            if request.mask is not None:
                torch.where(request.mask, children, request.params, out=children)
            restored = request.genomes.restore_dtype(children)
        if not return_info:
            self._warn_of_missed_divergences(info)
            return restored
        return restored, info if self.plan is None else replace(info, unreached=self.plan.unreached)

    @overload
    def mutate_(self, module: Module, *, return_info: Literal[False] = False, **arguments: Any) -> Module: ...

    @overload
    def mutate_(
        self, module: Module, *, return_info: Literal[True], **arguments: Any
    ) -> tuple[Module, MutationInfo]: ...

    def mutate_(
        self, module: Module, *, return_info: bool = False, **arguments: Any
    ) -> Module | tuple[Module, MutationInfo]:
        """Mutate a module's trainable parameters in place.

        All that can fail comes before the first parameter is written. With a sigma, the control and SM-G-SUM
        need memory for two genomes in single precision (for 10^9 weights 8 GB) and the gradient of one layer;
        with ``return_info`` for more of them.

        Args:
            module: A module of the architecture that the operator was made for.
            return_info: Also return a MutationInfo.
            arguments: Keyword arguments of a call: experiences, generator, ...

        Returns:
            The module; with ``return_info`` a pair (module, info).

        Raises:
            ValueError: As a call does; the module is then unchanged.
        """
        own = self
        if isinstance(self.network, FlatNetwork):
            own = replace(self, network=self.network.borrowing(module))
        trainable = trainable_parameters(module)
        refuse_two_devices(trainable)
        refuse_unwritable(trainable)
        parameters = list(trainable.values())
        dtype = reduce(torch.promote_types, [p.dtype for p in parameters])
        if self.divergence is None and self.precision is None and not return_info:
            # As they are computed: of a large module in half precision there is no room for both.
            dtype = torch.promote_types(dtype, torch.float32)
        sizes = [p.numel() for p in parameters]
        genome = torch.empty(sum(sizes), dtype=dtype, device=parameters[0].device)
        with torch.no_grad():  # one by one: whether pieces in between go back to the system is up to chance
            for p, part in zip(parameters, genome.split(sizes), strict=True):
                part.view(p.shape).copy_(p)
        result: Any = own(genome, return_info=return_info, **arguments)  # type: ignore[call-overload]
        child, *info = result if return_info else (result,)
        with torch.no_grad():
            for p, part in zip(parameters, child.split(sizes), strict=True):
                p.copy_(part.view(p.shape))
        return (module, *info) if info else module

    def _read(
        self,
        params: Any,
        experiences: Experiences | None,
        per_parent: bool,
        generator: Generator | Sequence[Generator],
        used: bool,
        required: bool,
        peek: bool = False,
    ) -> Request:
        in_double = self.precision == "float64"
        genomes = Genomes(params, getattr(self.network, "num_params", None), in_double)
        parents = genomes.params
        if generator is None:
            generator = self.generator() if callable(self.generator) else self.generator
        if experiences is None:
            experiences = self.experiences() if callable(self.experiences) else self.experiences
        inputs = None
        if experiences is None and required:
            raise ValueError(f"{type(self).__name__} expected experiences of shape (I, ...), got none")
        if experiences is not None and used:
            if per_parent and genomes.single:
                raise ValueError("expected parents of shape (N, P) with per_parent=True, got a single genome")
            if self.needs_experiences and not per_parent:
                experiences = drawn_before_reading(experiences, self.max_experiences, generator, len(parents))
            inputs = read_experiences(experiences, parents, per_parent)
            if self.needs_experiences and not per_parent:
                refuse_forgotten_per_parent(self.network, parents, inputs)
        mask = read_mask(self.mask, parents)
        streams = read_generator(generator, len(parents), peek)
        if inputs is not None:
            if self.needs_experiences:
                inputs, per_parent = subsample(
                    inputs, self.max_experiences, per_parent, streams, len(parents)
                )
            inputs = counted_once(inputs, per_parent)
            inputs = expand_to_parents(inputs, len(parents), per_parent)
        return Request(genomes, streams, inputs, mask)

    def _divergence(self, request: Request, children: Tensor) -> Any:
        if request.inputs is None:
            return None
        given_back = children.to(request.genomes.dtype).to(children.dtype)
        return request.genomes.numbers(divergence(self.network, request.params, given_back, request.inputs))

    def _search(
        self,
        request: Request,
        wanted: np.ndarray,
        step: Step,
        guesses: np.ndarray,
        least: np.ndarray | None = None,
    ) -> tuple[LineSearch, MutationInfo]:
        """Children whose divergence is the one asked for, each a step along the way that ``step`` gives.

        Args:
            request: The call.
            wanted: Divergences (N,).
            step: See ``line_search.search``.
            guesses: How far along it to begin (N,).
            least: How far along it to go at least (N,).
        """
        result = line_search.search(
            self.network,
            request.params,
            step,
            request.inputs,
            wanted,
            guesses,
            rounded_to=request.genomes.dtype,
            tolerance=self.tolerance,
            max_passes=self.max_passes,
            chunk_size=self.chunk_size,
            outputs=request.outputs,
            least=least,
        )
        info = MutationInfo(
            divergence=request.genomes.numbers(torch.from_numpy(result.divergence)),
            status=result.status[0] if request.genomes.single else result.status,
            forward_passes=int(result.passes.max()),
        )
        return result, info

    def _warn_of_missed_divergences(self, info: MutationInfo) -> None:
        if info.status is None:
            return
        single = isinstance(info.status, str)
        statuses, reached = ([info.status], [info.divergence]) if single else (info.status, info.divergence)
        missed = [n for n, status in enumerate(statuses) if status != "converged"]
        if missed:
            n = missed[0]
            warnings.warn(
                f"{len(missed)} of {len(statuses)} children miss divergence={self.divergence}: parent {n} "
                f"reached {float(reached[n]):.3g} ({statuses[n]})",
                DivergenceNotReached,
                stacklevel=_level_of_the_caller(),
            )

    @property
    def _why_no_sensitivity(self) -> str:
        return "it uses none"

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        """Children (N, P) in fresh memory, and what to say about them if ``detailed``."""
        raise NotImplementedError


def _level_of_the_caller() -> int:
    """The ``stacklevel`` of a warning that points at whoever called this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("safe_mutation."):
        frame, level = frame.f_back, level + 1
    return level
