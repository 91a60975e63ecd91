"""The paper's control: noise on the weights, whatever it does to the outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from safe_mutation.arguments import doc, documented, require_positive
from safe_mutation.mutation import Mutation, MutationInfo, Request


@documented
@dataclass(frozen=True)
class GaussianMutation(Mutation):
    """The paper's control: child = w + delta, delta ~ N(0, sigma^2).

    It accepts experiences, so that it stands in for the other operators, but uses them and the
    network only to report the divergence; the network may be left out.
    """

    network: Any = field(default=None, metadata=Mutation.__dataclass_fields__["network"].metadata)
    sigma: float = field(kw_only=True, metadata=doc("Standard deviation of a weight's step."))

    needs_experiences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("sigma", self.sigma)

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        children = request.noise().mul_(self.sigma).add_(request.params)
        divergence = self._divergence(request, children) if detailed else None
        return children, MutationInfo(divergence=divergence)
