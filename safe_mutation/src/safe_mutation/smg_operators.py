"""The SM-G operators: the paper's SUM, ABS and SO, and the root mean square."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from safe_mutation import sensitivity
from safe_mutation.arguments import doc, documented, require_count
from safe_mutation.noise import RandomSigns
from safe_mutation.request import Request
from safe_mutation.smg import SMG, ReusableSensitivity


@documented
@dataclass(frozen=True)
class SMGSum(ReusableSensitivity):
    """SM-G-SUM: s = sqrt( sum_k ( sum_i dy_k(X_i)/dw )^2 ).

    The cheapest with few outputs, as each takes a backward pass. Gradients of opposite sign cancel
    ("washout").
    """

    _reach: ClassVar[float] = 0.003

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.summed(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@documented
@dataclass(frozen=True)
class SMGAbs(ReusableSensitivity):
    """SM-G-ABS: s = sqrt( sum_k ( mean_i |dy_k(X_i)/dw| )^2 ); no washout."""

    _reach: ClassVar[float] = 2.0

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        return sensitivity.absolute(self.network, request.params, request.inputs, chunk_size=self.chunk_size)


@documented
@dataclass(frozen=True)
class SMGRms(ReusableSensitivity):
    """Root mean square sensitivity: s = sqrt( mean_i sum_k (dy_k(X_i)/dw)^2 ); not in the paper.

    No washout, and to first order delta of deviation sigma makes the outputs of P weights diverge by
    sigma^2 P. Exact in networks of linear layers, where it costs no more than SM-G-SUM; estimated without
    bias from random probes elsewhere.
    """

    probes: int | None = field(
        default=4,
        kw_only=True,
        metadata=doc(
            "Where it is not exact: random signs drawn for each output, each a backward pass. None for exact "
            "gradients of every experience, which take much longer."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("probes", self.probes, or_none=True)

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        signs = None if self.probes is None else RandomSigns(request.streams.probes, self.probes)
        return sensitivity.root_mean_square(
            self.network, request.params, request.inputs, signs=signs, chunk_size=self.chunk_size
        )


@documented
@dataclass(frozen=True)
class SMGSO(SMG):
    """SM-G-SO: s = sqrt(|H v|), H the Hessian of the divergence (equation 1) at the parent.

    As v is the perturbation, there is no sensitivity of the parent alone.
    """

    _reach: ClassVar[float] = 0.05
    _power: ClassVar[int] = 2

    direction: str = field(
        default="raw",
        kw_only=True,
        metadata=doc(
            'v: "raw" for delta itself (the paper\'s formula), or "unit" for delta / |delta| (its code). '
            "Sensitivities differ by the factor sqrt(|delta|), so that sigma means different things; with a "
            "divergence there is no difference."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction not in ("raw", "unit"):
            raise ValueError(f"expected direction to be 'raw' or 'unit', got {self.direction!r}")

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        assert delta is not None  # only ReusableSensitivity measures without
        unit = self.direction == "unit" and self.sigma is not None
        vector = delta / torch.linalg.vector_norm(delta, dim=1, keepdim=True) if unit else delta
        return sensitivity.second_order(
            self.network,
            request.params,
            request.inputs,
            vector,
            chunk_size=self.chunk_size,
            outputs=request.outputs,
        )

    @property
    def _sensitivity_growth(self) -> float:
        return 0.0 if self.direction == "unit" else 0.5

    @property
    def _why_no_sensitivity(self) -> str:
        return "its own depends on the perturbation"
