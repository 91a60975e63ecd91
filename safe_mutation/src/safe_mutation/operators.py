"""The five mutation operators of the paper as callables on genomes.

    op = SMGSum(network, sigma=0.1)
    child = op(parent, experiences=X, generator=7)

A genome (P,) gives a child (P,), a batch (N, P) gives N children, always in a fresh array of the
same kind (numpy or torch), dtype and device. How a call works is described in ``Mutation.__call__``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation import line_search, sensitivity
from safe_mutation.experiences import Experiences
from safe_mutation.genomes import require_finite
from safe_mutation.mutation import Mutation, MutationInfo, Request, require_count, require_positive
from safe_mutation.noise import Generator
from safe_mutation.presets import preset


class DivergenceNotReached(RuntimeWarning):
    """SM-R returned a child whose divergence from its parent is not the target."""


@dataclass(frozen=True)
class GaussianMutation(Mutation):
    """The paper's control: child = w + delta, delta ~ N(0, sigma^2).

    It accepts experiences, so that it stands in for the other operators, but uses them (and the
    network) only to report the divergence.

    Args:
        network: Optional; see SMGSum.
        sigma: Standard deviation of a weight's step.
        experiences: See SMGSum.
        max_experiences: Ignored.
        mask: See SMGSum.
    """

    network: Any = None
    sigma: float = field(kw_only=True)

    _needs_experiences = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma", self.sigma)

    def _mutate(self, request: Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        children = request.noise().mul_(self.sigma).add_(request.params)
        divergence = self._divergence(request, children) if detailed else None
        return children, MutationInfo(divergence=divergence)


@dataclass(frozen=True)
class SMR(Mutation):
    """SM-R: a step in a random direction, scaled until the outputs have diverged by a wanted amount.

    Works with any network, differentiable or not (``NumpyNetwork`` wraps numpy functions). A target that
    cannot be reached gives the closest child found, and a DivergenceNotReached warning, or, with
    ``return_info``, a status that says so.

    Args:
        network: See SMGSum.
        divergence: Target of equation 1.
        tolerance: Accepted relative deviation from it.
        max_passes: Forward passes before giving up.
        chunk_size: Parents searched in lockstep; by default what fits into caches.
        experiences: See SMGSum.
        max_experiences: See SMGSum.
        mask: See SMGSum.
    """

    divergence: float = field(kw_only=True)
    tolerance: float = field(default=0.01, kw_only=True)
    max_passes: int = field(default=40, kw_only=True)
    chunk_size: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("divergence", self.divergence)
        require_positive("tolerance", self.tolerance)
        require_count("max_passes", self.max_passes, least=3)
        require_count("chunk_size", self.chunk_size)

    def _mutate(self, request: Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        if sensitivity is not None:
            raise TypeError("SMR uses no sensitivity: expected none")
        noise = request.noise()
        found = line_search.search(
            self.network,
            request.params,
            noise / torch.linalg.vector_norm(noise, dim=1, keepdim=True),
            request.inputs,
            self.divergence,
            tolerance=self.tolerance,
            max_passes=self.max_passes,
            chunk_size=self.chunk_size,
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
            divergence=request.per_parent(torch.from_numpy(found.divergence)),
            status=found.status[0] if request.genomes.single else found.status,
            forward_passes=found.forward_passes,
        )
        return found.children, info


@dataclass(frozen=True)
class SMG(Mutation):
    """What SM-G-SUM, SM-G-ABS and SM-G-SO share: child = w + delta / s, s a sensitivity for each weight."""

    sigma: float = field(kw_only=True)
    weight_clip: float | None = field(default=None, kw_only=True)
    floor: float = field(default=0.01, kw_only=True)
    zero: float = field(default=1.0, kw_only=True)
    chunk_size: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma", self.sigma)
        require_positive("floor", self.floor)
        require_positive("zero", self.zero)
        if self.weight_clip is not None:
            require_positive("weight_clip", self.weight_clip)
        require_count("chunk_size", self.chunk_size)

    def sensitivity(
        self,
        params: Any,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        generator: Generator | Sequence[Generator] = None,
    ) -> Any:
        """Sensitivities (N, P) or (P,) as computed, before the rule for zeros and the floor.

        They depend on the parents alone: a parent that is chosen again needs no new ones.

        Args:
            params: Parents (N, P), or one parent (P,).
            experiences: As in a call.
            per_parent: As in a call.
            generator: Draws the experiences where there are more than ``max_experiences``.

        Raises:
            TypeError: For SM-G-SO, whose sensitivity depends on the perturbation.
        """
        with torch.inference_mode(False):
            request = self._read(params, experiences, per_parent, generator, used=True, required=True)
            return request.genomes.restore(self._measure(request, None))

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        """Sensitivities (N, P) of the parents, for SM-G-SO with respect to a perturbation."""
        raise NotImplementedError

    def _mutate(self, request: Request, sensitivity: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        delta = request.noise().mul_(self.sigma)
        measured = self._measure(request, delta) if sensitivity is None else self._given(request, sensitivity)
        require_finite(measured, "finite sensitivities")
        # In place from here on: populations of large networks fill the memory.
        scale = measured.clone() if detailed else measured
        steps = delta.div_(scale.masked_fill_(scale == 0, self.zero).clamp_(min=self.floor))
        clip = float("inf") if self.weight_clip is None else self.weight_clip
        if not detailed:
            return steps.clamp_(-clip, clip).add_(request.params), MutationInfo()
        limited = steps.clamp(-clip, clip)
        children = request.params + limited
        info = MutationInfo(
            divergence=self._divergence(request, children),
            zero=request.per_parent((measured == 0).double().mean(1)),
            floored=request.per_parent(((measured > 0) & (measured < self.floor)).double().mean(1)),
            clipped=request.per_parent((limited != steps).double().mean(1)),
            sensitivity=request.genomes.restore(measured),
        )
        return children, info

    def _given(self, request: Request, sensitivity: Any) -> Tensor:
        values = sensitivity if isinstance(sensitivity, Tensor) else torch.tensor(np.asarray(sensitivity))
        values = values.detach().to(request.params, copy=True)
        values = values[None] if request.genomes.single else values
        if values.shape != request.params.shape:
            raise ValueError(
                f"expected a sensitivity of shape {tuple(request.params.shape)}, got {tuple(values.shape)}"
            )
        if (values < 0).any():
            raise ValueError("expected a sensitivity as op.sensitivity returns it, got negative values")
        return values


@dataclass(frozen=True)
class SMGSum(SMG):
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ).

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``, differentiable in params, or an
            nn.Module.
        sigma: Standard deviation of delta.
        weight_clip: Largest step of one weight; None for no limit.
        floor: Smaller sensitivities are raised to it.
        zero: What a sensitivity of exactly 0 becomes, so that a weight without effect is not rescaled.
        chunk_size: Parents computed at once; by default what fits into caches.
        experiences: Experiences (I, ...) used when a call brings none, or a function that returns them.
        max_experiences: Use at most so many for each parent, drawn without replacement; None for all.
        mask: Which weights mutate (P,), bool; ``FlatNetwork.mask`` makes one from parameter names.
    """

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.summed(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@dataclass(frozen=True)
class SMGAbs(SMG):
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ).

    Args:
        network: See SMGSum for this and the following.
        sigma: Standard deviation of delta.
        weight_clip: Largest step of one weight.
        floor: Smallest sensitivity.
        zero: What a sensitivity of exactly 0 becomes.
        chunk_size: Parents computed at once; for networks of other than linear layers, gradients of one
            experience and output each held at once.
        experiences: Default experiences.
        max_experiences: Limit of experiences per parent.
        mask: Which weights mutate.
    """

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.absolute(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@dataclass(frozen=True)
class SMGSO(SMG):
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent.

    Args:
        network: See SMGSum for this and the following.
        sigma: Standard deviation of delta.
        weight_clip: Largest step of one weight.
        floor: Smallest sensitivity.
        zero: What a sensitivity of exactly 0 becomes.
        chunk_size: Parents computed at once.
        experiences: Default experiences.
        max_experiences: Limit of experiences per parent.
        mask: Which weights mutate.
        direction: v: "raw" for delta itself (the paper's formula), or "unit" for delta / |delta| (its code).
            Sensitivities differ by the factor sqrt(|delta|), so that sigma means different things.
    """

    direction: str = field(default="raw", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in ("raw", "unit"):
            raise ValueError(f"expected direction to be 'raw' or 'unit', got {self.direction!r}")

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        if delta is None:
            raise TypeError(
                "the sensitivity of SM-G-SO depends on the perturbation: it cannot be computed ahead"
            )
        unit = self.direction == "unit"
        vector = delta / torch.linalg.vector_norm(delta, dim=1, keepdim=True) if unit else delta
        return sensitivity.second_order(
            self.network, request.params, request.inputs, vector, chunk_size=self.chunk_size
        )

    def _given(self, request: Request, sensitivity: Any) -> Tensor:
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
) -> Mutation:
    """Make an operator by the paper's name.

    Args:
        name: "control", "SM-R", "SM-G-ABS", "SM-G-SUM" or "SM-G-SO".
        network: See SMGSum; the control needs none.
        intensity: The one number that the paper tunes: sigma, or for SM-R the divergence.
        domain: One of the paper's domains (see ``presets``), whose intensity, clip and SO direction are used
            unless they are given here.
        options: Passed on to the operator, for example ``weight_clip``.

    Raises:
        ValueError: If the name or domain is unknown; the message lists the known ones.
    """
    if name not in OPERATORS:
        raise ValueError(f"expected an operator out of {list(OPERATORS)}, got {name!r}")
    if domain is not None:
        settings = preset(domain)
        intensity = settings.intensity_of(name) if intensity is None else intensity
        if name.startswith("SM-G"):
            options.setdefault("weight_clip", settings.weight_clip)
        if name == "SM-G-SO":
            options.setdefault("direction", settings.direction)
    if intensity is None:
        raise ValueError(f"expected intensity or domain for {name}, got neither")
    strength = "divergence" if name == "SM-R" else "sigma"
    return OPERATORS[name](network, **{strength: intensity}, **options)
