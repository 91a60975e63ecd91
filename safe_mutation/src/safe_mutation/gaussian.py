"""The paper's control: noise on the weights, whatever it does to the outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from safe_mutation.arguments import doc, documented
from safe_mutation.calibration import calibrate
from safe_mutation.info import MutationInfo
from safe_mutation.intensity import require_one_of
from safe_mutation.line_search import Step, along, cautious
from safe_mutation.mutation import Mutation
from safe_mutation.request import Request


@documented
@dataclass(frozen=True)
class GaussianMutation(Mutation):
    """The paper's control: child = w + delta, delta ~ N(0, sigma^2).

    With sigma it accepts experiences, so that it stands in for the other operators, but uses them and the
    network only to report the divergence, and the network may be left out. With a divergence in place of
    sigma, delta is scaled until the outputs have diverged so far.
    """

    network: Any = field(default=None, metadata=Mutation.__dataclass_fields__["network"].metadata)
    sigma: float | None = field(
        default=None, kw_only=True, metadata=doc("Standard deviation of a weight's step.")
    )

    calibrate = calibrate

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of(self.sigma, self.divergence)

    @property
    def needs_experiences(self) -> bool:
        """Whether a call has to know experiences."""
        return self.divergence is not None

    def _with_sigma(self, sigma: float) -> GaussianMutation:
        """The same with a sigma in place of sigma or divergence."""
        return replace(self, sigma=sigma, divergence=None)

    def _by_sigma(self, request: Request) -> Step:
        return along(request.noise())

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        noise = request.noise()
        if self.divergence is not None:
            wanted, first = request.targets(self.divergence), cautious(request.params, noise)
            result, info = self._search(request, wanted, along(noise), first)
            return result.children, info
        assert self.sigma is not None
        children = noise.mul_(self.sigma).add_(request.params)
        divergence = self._divergence(request, children) if detailed else None
        return children, MutationInfo(divergence=divergence)
