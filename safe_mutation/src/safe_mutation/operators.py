"""The five mutation operators of the paper as callables on genomes.

    op = SMGSum(network, sigma=0.1)
    child = op(parent, experiences=X, generator=7)

A genome (P,) gives a child (P,), a batch (N, P) gives N children, always in a fresh array of the
same kind (numpy or torch), dtype and device. Operators hold settings only: they are immutable and
can be pickled.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from safe_mutation import line_search, sensitivity
from safe_mutation.experiences import Experiences, expand_to_parents, read_experiences, subsample
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.genomes import Genomes, require_finite
from safe_mutation.noise import Generator, Source, read_generator, standard_normal
from safe_mutation.presets import preset


class DivergenceNotReached(RuntimeWarning):
    """SM-R returned a child whose divergence from its parent is not the target."""


@dataclass(frozen=True)
class MutationInfo:
    """What a mutation did; arrays (N,) in a batch, plain numbers for a single genome.

    Attributes:
        divergence: Divergence of the children from their parents (equation 1) on the experiences used;
            None where no experiences were given.
        zero: Share of weights with a sensitivity of exactly 0.
        floored: Share of weights whose sensitivity was raised to the floor.
        clipped: Share of weights whose step was cut at the clip.
        sensitivity: Sensitivities as computed, before those two rules, (N, P) or (P,).
        status: SM-R: "converged", "saturated", "jump" or "exhausted".
        forward_passes: SM-R: forward passes that the search took.
    """

    divergence: Any = None
    zero: Any = None
    floored: Any = None
    clipped: Any = None
    sensitivity: Any = None
    status: Any = None
    forward_passes: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One call of an operator, read and checked."""

    genomes: Genomes
    sources: Source | list[Source]
    inputs: Experiences | None
    mask: Tensor | None

    @property
    def params(self) -> Tensor:
        return self.genomes.params

    def noise(self) -> Tensor:
        drawn = standard_normal(self.sources, self.params)
        return drawn if self.mask is None else drawn * self.mask


@dataclass(frozen=True)
class _Mutation:
    """What all operators share: reading the call and giving back the children.

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``, or an nn.Module.
        experiences: Experiences (I, ...) used when a call brings none.
        max_experiences: Use at most so many, drawn without replacement; None for all.
        mask: Which weights mutate (P,), bool; ``FlatNetwork.mask`` makes one from parameter names.
    """

    network: Any
    experiences: Experiences | None = field(default=None, kw_only=True)
    max_experiences: int | None = field(default=100, kw_only=True)
    mask: Any = field(default=None, kw_only=True)

    needs_experiences = True

    def __post_init__(self) -> None:
        if isinstance(self.network, nn.Module):
            object.__setattr__(self, "network", FlatNetwork(self.network))
        elif self.network is not None and not callable(self.network):
            raise TypeError(f"expected network to be callable, got {type(self.network).__name__}")
        if self.network is None and self.needs_experiences:
            raise TypeError("expected network to be callable, got None")
        if self.max_experiences is not None and self.max_experiences < 1:
            raise ValueError(f"expected max_experiences to be at least 1 or None, got {self.max_experiences}")

    def __call__(
        self,
        params: Any,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        sensitivity: Any = None,
        generator: Generator | Sequence[Generator] = None,
        return_info: bool = False,
    ) -> Any:
        """Mutate a genome or each genome of a batch.

        Args:
            params: Parents (N, P), or one parent (P,); numpy or torch, left untouched.
            experiences: Recorded inputs (I, ...) that all parents share, or with ``per_parent`` (N, I, ...).
            per_parent: Whether every parent brings its own experiences.
            sensitivity: Result of ``op.sensitivity(params, ...)`` to use again (SM-G-SUM and SM-G-ABS).
            generator: A seed or generator for the whole batch, or a sequence of them, one per parent:
                child n is then what a single call with ``generator[n]`` gives.
            return_info: Also return a MutationInfo.

        Returns:
            Children like ``params``; with ``return_info`` a pair (children, info).

        Raises:
            ValueError: On a genome of the wrong length, values that are not finite, and missing or empty
                experiences.
            TypeError: On arrays of the wrong kind or dtype, and on a network without gradients (but for SMR).
        """
        request = self._read(params, experiences, per_parent, generator, optional=sensitivity is not None)
        children, info = self._mutate(request, sensitivity, return_info)
        if request.mask is not None:
            children = torch.where(request.mask, children, request.params)
        children = request.genomes.restore_dtype(children)
        return (children, info) if return_info else children

    def mutate_(self, module: nn.Module, **arguments: Any) -> Any:
        """Mutate a module's trainable parameters in place; keyword arguments as in a call.

        Args:
            module: Of the architecture the operator was made for.
            arguments: See ``__call__``.

        Returns:
            The module; with ``return_info`` a pair (module, info).
        """
        network = self.network if isinstance(self.network, FlatNetwork) else FlatNetwork(module)
        result = self(network.flatten(module), **arguments)
        child = result[0] if arguments.get("return_info") else result
        network.load_(module, child)
        return (module, result[1]) if arguments.get("return_info") else module

    def _read(
        self,
        params: Any,
        experiences: Experiences | None,
        per_parent: bool,
        generator: Generator | Sequence[Generator],
        optional: bool,
    ) -> _Request:
        genomes = Genomes(params, getattr(self.network, "num_params", None))
        parents = genomes.params
        if per_parent and genomes.single:
            raise ValueError("expected parents of shape (N, P) with per_parent=True, got a single genome")
        sources = read_generator(generator, len(parents))
        if experiences is None:
            experiences, per_parent = self.experiences, False
        inputs = None
        if experiences is not None and (self.needs_experiences or self.network is not None):
            inputs = read_experiences(experiences, parents, per_parent)
            inputs, per_parent = subsample(inputs, self.max_experiences, per_parent, sources, len(parents))
            inputs = expand_to_parents(inputs, len(parents), per_parent)
        elif self.needs_experiences and not optional:
            raise ValueError(f"{type(self).__name__} expected experiences of shape (I, ...), got none")
        return _Request(genomes=genomes, sources=sources, inputs=inputs, mask=self._mask(parents))

    def _mask(self, parents: Tensor) -> Tensor | None:
        if self.mask is None:
            return None
        mask = torch.as_tensor(self.mask, device=parents.device)
        shape = (parents.shape[1],)
        if mask.dtype != torch.bool or tuple(mask.shape) != shape:
            raise ValueError(
                f"expected a mask of shape {shape} and dtype bool, got {tuple(mask.shape)} {mask.dtype}"
            )
        return mask

    def _divergence(self, request: _Request, children: Tensor) -> Any:
        if request.inputs is None:
            return None
        return _per_parent(
            request, sensitivity.divergence(self.network, request.params, children, request.inputs)
        )

    def _mutate(self, request: _Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        raise NotImplementedError


@dataclass(frozen=True)
class GaussianMutation(_Mutation):
    """The paper's control: child = w + delta, delta ~ N(0, sigma^2).

    Experiences are accepted, so that it stands in for the other operators, and only used to report
    the divergence, for which it must know the network.

    Args:
        network: Optional; see above.
        sigma: Standard deviation of a weight's step.
    """

    network: Any = None
    sigma: float = field(kw_only=True)
    needs_experiences = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive("sigma", self.sigma)

    def _mutate(self, request: _Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        children = request.params + self.sigma * request.noise()
        return children, MutationInfo(
            divergence=self._divergence(request, children)
        ) if detailed else MutationInfo()


@dataclass(frozen=True)
class SMR(_Mutation):
    """SM-R: a step in a random direction, scaled until the outputs have diverged by a wanted amount.

    Works with any network, differentiable or not.

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``, or an nn.Module.
        divergence: Target of equation 1.
        tolerance: Accepted relative deviation from it.
        max_passes: Forward passes before giving up.
    """

    divergence: float = field(kw_only=True)
    tolerance: float = field(default=0.01, kw_only=True)
    max_passes: int = field(default=40, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive("divergence", self.divergence)
        _require_positive("tolerance", self.tolerance)
        if self.max_passes < 3:
            raise ValueError(f"expected max_passes to be at least 3, got {self.max_passes}")

    def _mutate(self, request: _Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        if sensitivity is not None:
            raise TypeError("SMR uses no sensitivity: expected none")
        noise = request.noise()
        direction = noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True)
        found = line_search.search(
            self.network,
            request.params,
            direction,
            request.inputs,
            self.divergence,
            tolerance=self.tolerance,
            max_passes=self.max_passes,
        )
        missed = [n for n, status in enumerate(found.status) if status != "converged"]
        if missed and not detailed:
            n = missed[0]
            warnings.warn(
                f"{len(missed)} of {len(found.status)} children miss the divergence {self.divergence:g}: "
                f"parent {n} reached {found.divergence[n]:.3g} ({found.status[n]})",
                DivergenceNotReached,
                stacklevel=3,
            )
        info = MutationInfo(
            divergence=_per_parent(request, torch.from_numpy(found.divergence)),
            status=found.status[0] if request.genomes.single else found.status,
            forward_passes=found.forward_passes,
        )
        return found.children, info


@dataclass(frozen=True)
class _SMG(_Mutation):
    """SM-G: child = w + delta / s, every weight's step divided by its sensitivity.

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``, differentiable, or an nn.Module.
        sigma: Standard deviation of delta.
        weight_clip: Largest step of one weight; None for no limit.
        floor: Smaller sensitivities are raised to it.
        zero: What a sensitivity of exactly 0 becomes, before the floor: a weight that does not matter
            is not rescaled.
        chunk_size: Parents (for SM-G-ABS, copies of a parent that see one experience each) per pass.
    """

    sigma: float = field(kw_only=True)
    weight_clip: float | None = field(default=None, kw_only=True)
    floor: float = field(default=0.01, kw_only=True)
    zero: float = field(default=1.0, kw_only=True)
    chunk_size: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive("sigma", self.sigma)
        _require_positive("floor", self.floor)
        _require_positive("zero", self.zero)
        if self.weight_clip is not None:
            _require_positive("weight_clip", self.weight_clip)
        if self.chunk_size is not None and self.chunk_size < 1:
            raise ValueError(f"expected chunk_size to be at least 1 or None, got {self.chunk_size}")

    def sensitivity(
        self,
        params: Any,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        generator: Generator | Sequence[Generator] = None,
    ) -> Any:
        """Sensitivities (N, P) or (P,) as computed, before the rule for zeros and the floor.

        They depend on the parents only, so that a parent that is chosen again needs no new ones.

        Args:
            params: Parents (N, P), or one parent (P,).
            experiences: As in a call.
            per_parent: As in a call.
            generator: Draws the experiences where there are more than ``max_experiences``.

        Raises:
            TypeError: For SM-G-SO, whose sensitivity depends on the perturbation.
        """
        request = self._read(params, experiences, per_parent, generator, optional=False)
        return request.genomes.restore(self._measure(request, None))

    def _measure(self, request: _Request, delta: Tensor | None) -> Tensor:
        raise NotImplementedError

    def _mutate(self, request: _Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        delta = self.sigma * request.noise()
        measured = self._measure(request, delta) if sensitivity is None else self._given(request, sensitivity)
        scale = torch.where(measured == 0, self.zero, measured).clamp_(min=self.floor)
        steps = delta.div_(scale)
        info = MutationInfo()
        clip = self.weight_clip
        if detailed:
            share = lambda hits: _per_parent(request, hits.double().mean(1))  # noqa: E731
            limited = steps if clip is None else steps.clamp(-clip, clip)
            info = MutationInfo(
                divergence=self._divergence(request, request.params + limited),
                zero=share(measured == 0),
                floored=share((measured > 0) & (measured < self.floor)),
                clipped=share(limited != steps),
                sensitivity=request.genomes.restore(measured),
            )
        if clip is not None:
            steps.clamp_(-clip, clip)
        return steps.add_(request.params), info

    def _given(self, request: _Request, sensitivity: Any) -> Tensor:
        values = torch.as_tensor(sensitivity, device=request.params.device, dtype=request.params.dtype)
        values = values[None] if request.genomes.single else values
        if values.shape != request.params.shape:
            raise ValueError(
                f"expected a sensitivity of shape {tuple(request.params.shape)}, got {tuple(values.shape)}"
            )
        require_finite(values, "a finite sensitivity")
        return values


@dataclass(frozen=True)
class SMGAbs(_SMG):
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ). Arguments: see SMGSum."""

    def _measure(self, request: _Request, delta: Tensor | None) -> Tensor:
        measured = sensitivity.absolute(
            self.network, request.params, request.inputs, chunk_size=self.chunk_size
        )
        require_finite(measured, "finite sensitivities")
        return measured


@dataclass(frozen=True)
class SMGSum(_SMG):
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ).

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``, differentiable, or an nn.Module.
        sigma: Standard deviation of delta.
        weight_clip: Largest step of one weight; None for no limit.
        floor: Smaller sensitivities are raised to it.
        zero: What a sensitivity of exactly 0 becomes, before the floor.
        chunk_size: Parents per pass.
        experiences: Experiences (I, ...) used when a call brings none.
        max_experiences: Use at most so many, drawn without replacement; None for all.
        mask: Which weights mutate (P,), bool; ``FlatNetwork.mask`` makes one from parameter names.
    """

    def _measure(self, request: _Request, delta: Tensor | None) -> Tensor:
        measured = sensitivity.summed(self.network, request.params, request.inputs)
        require_finite(measured, "finite sensitivities")
        return measured


@dataclass(frozen=True)
class SMGSO(_SMG):
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent.

    Args:
        network: As for SMGSum, like all arguments but the last.
        direction: v: "raw" for delta itself (the paper's formula), "unit" for delta / |delta| (its code).
            The two differ by the factor sqrt(|delta|), so that their sigmas are not comparable.
    """

    direction: str = field(default="raw", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in ("raw", "unit"):
            raise ValueError(f"expected direction to be 'raw' or 'unit', got {self.direction!r}")

    def _measure(self, request: _Request, delta: Tensor | None) -> Tensor:
        if delta is None:
            raise TypeError(
                "the sensitivity of SM-G-SO depends on the perturbation: it cannot be computed ahead"
            )
        unit = self.direction == "unit"
        vector = delta / torch.linalg.vector_norm(delta, dim=1, keepdim=True) if unit else delta
        measured = sensitivity.second_order(self.network, request.params, request.inputs, vector)
        require_finite(measured, "finite sensitivities")
        return measured

    def _given(self, request: _Request, sensitivity: Any) -> Tensor:
        raise TypeError("the sensitivity of SM-G-SO depends on the perturbation: it cannot be used again")


OPERATORS = {
    "control": GaussianMutation, "SM-R": SMR, "SM-G-ABS": SMGAbs, "SM-G-SUM": SMGSum, "SM-G-SO": SMGSO,
}  # fmt: skip


def make(
    name: str,
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> Any:
    """Make an operator by the paper's name.

    Args:
        name: "control", "SM-R", "SM-G-ABS", "SM-G-SUM" or "SM-G-SO".
        network: See SMGSum; the control needs none.
        intensity: The one number that the paper tunes: sigma, or for SM-R the divergence.
        domain: One of the paper's domains, whose intensity (table S1), clip and SO direction are used unless
            they are given here.
        options: Passed on to the operator, for example ``weight_clip``.

    Raises:
        ValueError: If the name or domain is unknown; the message lists the known ones.
    """
    if name not in OPERATORS:
        raise ValueError(f"expected an operator out of {list(OPERATORS)}, got {name!r}")
    if domain is not None and intensity is None:
        intensity, settings = preset(name, domain)
        if name.startswith("SM-G"):
            options = {"weight_clip": settings.weight_clip} | options
        if name == "SM-G-SO":
            options = {"direction": settings.direction} | options
    if intensity is None:
        raise ValueError(f"expected intensity or domain for {name}, got neither")
    strength = "divergence" if name == "SM-R" else "sigma"
    return OPERATORS[name](network, **{strength: intensity}, **options)


def _per_parent(request: _Request, values: Tensor) -> Any:
    return values[0].item() if request.genomes.single else request.genomes.restore(values)


def _require_positive(name: str, value: Any) -> None:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ValueError(f"expected {name} to be a positive number, got {value!r}")
