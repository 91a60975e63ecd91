"""The paper's safe mutations through gradients: steps are smaller where the outputs react more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from safe_mutation import sensitivity
from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.arrays import read_array
from safe_mutation.experiences import Experiences
from safe_mutation.genomes import require_finite
from safe_mutation.mutation import Genome, Mutation, MutationInfo, Request
from safe_mutation.noise import Generator
from safe_mutation.plain_mode import plain_mode


@documented
@dataclass(frozen=True)
class SMG(Mutation):
    """What the SM-G operators share: child = w + delta / s, s a sensitivity for each weight.

    A subclass says in ``_measure`` what the sensitivity is.
    """

    sigma: float = field(kw_only=True, metadata=doc("Standard deviation of delta."))
    weight_clip: float | None = field(
        default=None, kw_only=True, metadata=doc("Largest step of one weight; None for no limit.")
    )
    floor: float = field(default=0.01, kw_only=True, metadata=doc("Smaller sensitivities are raised to it."))
    zero: float = field(
        default=1.0,
        kw_only=True,
        metadata=doc("What a sensitivity of exactly 0 becomes: a weight without effect is not rescaled."),
    )
    chunk_size: int | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            "Parents computed at once, or in SM-G-ABS of networks with other than linear layers gradients "
            "(of one experience and output each); by default what fits into caches."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma", self.sigma)
        require_positive("floor", self.floor)
        require_positive("zero", self.zero)
        if self.weight_clip is not None:
            require_positive("weight_clip", self.weight_clip)
        require_count("chunk_size", self.chunk_size)

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        """Sensitivities (N, P) of the parents, for SM-G-SO with respect to a perturbation (N, P)."""
        raise NotImplementedError

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        delta = request.noise().mul_(self.sigma)
        measured = self._measure(request, delta) if given is None else _read_sensitivity(request, given)
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


def _read_sensitivity(request: Request, given: Any) -> Tensor:
    values = read_array(given, "a sensitivity").to(request.params, copy=True)
    values = values[None] if request.genomes.single else values
    if values.shape != request.params.shape:
        raise ValueError(
            f"expected a sensitivity of shape {tuple(request.params.shape)}, got {tuple(values.shape)}"
        )
    if (values < 0).any():
        raise ValueError("expected a sensitivity as op.sensitivity returns it, got negative values")
    return values


@documented
@dataclass(frozen=True)
class ReusableSensitivity(SMG):
    """SM-G with a sensitivity that depends on the parent alone, so that it can be kept with the parent."""

    reusable_sensitivity: ClassVar[bool] = True

    def sensitivity(
        self,
        params: Genome,
        *,
        experiences: Experiences | None = None,
        per_parent: bool = False,
        generator: Generator | Sequence[Generator] = None,
    ) -> Genome:
        """Sensitivities (N, P) or (P,) as computed, before the rule for zeros and the floor.

        A parent that is chosen again needs no new ones. A call with ``sensitivity=`` and the same
        generator gives the children of the call that computes them.

        Args:
            params: Parents (N, P), or one parent (P,).
            experiences: As in a call.
            per_parent: As in a call.
            generator: As in a call, but left in the state it is in.

        Raises:
            ValueError: As in a call.
            TypeError: As in a call.
        """
        with plain_mode():
            request = self._read(
                params, experiences, per_parent, generator, used=True, required=True, peek=True
            )
            measured: Genome = request.genomes.restore(self._measure(request, None))
        return measured


@documented
@dataclass(frozen=True)
class SMGSum(ReusableSensitivity):
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ).

    The cheapest; gradients of opposite sign cancel ("washout").
    """

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.summed(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@documented
@dataclass(frozen=True)
class SMGAbs(ReusableSensitivity):
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ); no washout."""

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.absolute(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@documented
@dataclass(frozen=True)
class SMGSO(SMG):
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent.

    As v is the perturbation, there is no sensitivity of the parent alone.
    """

    direction: str = field(
        default="raw",
        kw_only=True,
        metadata=doc(
            'v: "raw" for delta itself (the paper\'s formula), or "unit" for delta / |delta| (its code). '
            "Sensitivities differ by the factor sqrt(|delta|), so that sigma means different things."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in ("raw", "unit"):
            raise ValueError(f"expected direction to be 'raw' or 'unit', got {self.direction!r}")

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        assert delta is not None  # only ReusableSensitivity measures without
        unit = self.direction == "unit"
        vector = delta / torch.linalg.vector_norm(delta, dim=1, keepdim=True) if unit else delta
        return sensitivity.second_order(
            self.network, request.params, request.inputs, vector, chunk_size=self.chunk_size
        )

    @property
    def _why_no_sensitivity(self) -> str:
        return "its own depends on the perturbation"
