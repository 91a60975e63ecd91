"""Safe mutations through gradients: steps are smaller where the outputs react more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from safe_mutation import scaling
from safe_mutation.arguments import doc, documented, require_positive
from safe_mutation.arrays import read_array
from safe_mutation.calibration import calibrate
from safe_mutation.experiences import Experiences
from safe_mutation.genomes import require_finite
from safe_mutation.info import MutationInfo
from safe_mutation.intensity import require_one_of
from safe_mutation.line_search import Lanes, Step, along, cautious
from safe_mutation.mutation import Genome, Mutation
from safe_mutation.noise import Generator
from safe_mutation.plain_mode import plain_mode
from safe_mutation.request import Request

FLOOR, ZERO = 0.01, 1.0  # of the published code
AIM = 1 / 3  # of the divergence: a search that begins below it needs fewest passes


@documented
@dataclass(frozen=True)
class SMG(Mutation):
    """What the SM-G operators share: child = w + delta / s, s a sensitivity for each weight.

    With sigma, delta ~ N(0, sigma^2), and small sensitivities are raised to ``floor``. With a divergence
    in its place, the step is scaled until the outputs have diverged so far, and no constant of the scale of
    the outputs is left. A subclass says in ``_measure`` what the sensitivity is.
    """

    sigma: float | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            "Standard deviation of delta, as in the paper. What it does depends on the network, the outputs "
            "and the operator: ``calibrate`` finds the one for a divergence."
        ),
    )
    weight_clip: float | None = field(
        default=None, kw_only=True, metadata=doc("Largest step of one weight; None for no limit.")
    )
    floor: float | None = field(
        default=FLOOR,
        kw_only=True,
        metadata=doc(
            "With sigma: smaller sensitivities are raised to it. 0.01 is the paper's, for its networks; if "
            "most are smaller (info.floored), the step is the control's. None for the rule that goes with a "
            "divergence: mostly about a tenth of the root mean square of each parent's own."
        ),
    )
    zero: float = field(
        default=ZERO,
        kw_only=True,
        metadata=doc(
            "With sigma: what a sensitivity becomes that cannot be told from 0, so that a weight without "
            "effect is not rescaled."
        ),
    )

    exponent: float = field(
        default=1.0,
        kw_only=True,
        metadata=doc(
            "With a divergence: steps go with delta / s^exponent. Below 1 the differences between weights "
            "are made up for in part, above it more than in full; 0 would be the control's direction."
        ),
    )

    calibrate = calibrate

    _reach: ClassVar[float] = 1.0
    """The divergence of a small step d over sum (s d)^2, roughly: where the search for one begins.

    Found with networks of many kinds; a wrong one costs a pass or two.
    """

    _power: ClassVar[int] = 1
    """Of the sensitivity that gradients give first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of(self.sigma, self.divergence)
        if self.floor is not None:
            require_positive("floor", self.floor)
        require_positive("zero", self.zero)
        if self.divergence is not None and (self.floor or FLOOR, self.zero) != (FLOOR, ZERO):
            raise ValueError("expected floor and zero with sigma only, got them with divergence")
        if self.floor is None and self.zero != ZERO:
            raise ValueError(f"expected zero with a floor only, got {self.zero!r} with floor=None")
        require_positive("exponent", self.exponent)
        if self.sigma is not None and self.exponent != 1:
            raise ValueError(f"expected exponent with divergence only, got {self.exponent!r} with sigma")
        if self.weight_clip is not None:
            require_positive("weight_clip", self.weight_clip)

    @property
    def _clip(self) -> float:
        return math.inf if self.weight_clip is None else self.weight_clip

    @property
    def _sensitivity_growth(self) -> float:
        """The power of sigma that the sensitivity grows with."""
        return 0.0

    def _measure(self, request: Request, delta: Tensor | None) -> Tensor:
        """Sensitivities (N, P) of the parents, for SM-G-SO with respect to a perturbation (N, P)."""
        raise NotImplementedError

    def _mutate(self, request: Request, given: Any, detailed: bool) -> tuple[Tensor, MutationInfo]:
        if self.sigma is not None and self.reusable_sensitivity and not detailed:
            measured = self._measured(request, given, None)
            return self._mutate_in_pieces(request, measured, self.sigma), MutationInfo()
        noise = request.noise()
        if self.sigma is not None:
            noise.mul_(self.sigma)
        measured = self._measured(request, given, noise)
        if self.divergence is not None:
            return self._mutate_to(request, request.targets(self.divergence), noise, measured, detailed)
        return self._mutate_by(request, noise, measured, detailed)

    def _measured(self, request: Request, given: Any, delta: Tensor | None) -> Tensor:
        measured = self._measure(request, delta) if given is None else _read_sensitivity(request, given)
        require_finite(measured, "finite sensitivities")
        return measured

    def _mutate_in_pieces(self, request: Request, measured: Tensor, sigma: float) -> Tensor:
        """Children (N, P) by the paper's rules in the memory of the sensitivities (N, P).

        Noise is drawn for some weights at a time: large networks fill the memory.
        """
        without = scaling.insensitive(measured, self._power)
        children = self._raised(measured, without, request).reshape(-1)
        parents = request.params.reshape(-1)
        for piece, noise in request.noise_in_pieces():
            here = children[piece]
            steps = noise.mul_(sigma).div_(here)
            if self._clip < math.inf:
                steps.clamp_(-self._clip, self._clip)
            torch.add(steps, parents[piece], out=here)
        return children.view(request.params.shape)

    def _mutate_by(
        self, request: Request, delta: Tensor, measured: Tensor, detailed: bool
    ) -> tuple[Tensor, MutationInfo]:
        """Children (N, P) by the paper's rules."""
        # In place: populations of large networks fill the memory.
        scale = measured.clone() if detailed else measured
        without = scaling.insensitive(measured, self._power)
        steps = delta.div_(self._raised(scale, without, request))
        if not detailed:
            return steps.clamp_(-self._clip, self._clip).add_(request.params), MutationInfo()
        limited = steps.clamp(-self._clip, self._clip)
        children = request.params + limited
        info = MutationInfo(
            divergence=self._divergence(request, children),
            zero=request.share(without),
            floored=None if self.floor is None else request.share(~without & (measured < self.floor)),
            clipped=request.share(limited != steps),
            sensitivity=request.genomes.restore(measured),
        )
        return children, info

    def _raised(self, sensitivities: Tensor, without: Tensor, request: Request) -> Tensor:
        """What delta is divided by (N, P); the memory of the sensitivities may be used for it."""
        if self.floor is None:
            # In the sensitivities' own scale, in which parents can be compared.
            return self._relative(sensitivities, without, request.mask) * scaling.largest(sensitivities)
        return scaling.absolute_(sensitivities, without, self.zero, self.floor)

    def _relative(self, sensitivities: Tensor, without: Tensor, mask: Tensor | None) -> Tensor:
        """What noise is divided by with a divergence (N, P), in any scale."""
        return scaling.relative(sensitivities, without, mask, self.exponent)

    def _shortest(self, request: Request, directions: Tensor) -> np.ndarray | None:
        """How far along directions (N, P) a search goes at least (N,); None for any length."""
        return None

    def _with_sigma(self, sigma: float) -> SMG:
        """The same with a sigma in place of sigma or divergence; its children go the same way."""
        floor = self.floor if self.divergence is None else None
        return replace(self, sigma=sigma, divergence=None, floor=floor)

    def _by_sigma(self, request: Request) -> Step:
        """Steps of the paper's rules as a function of sigma."""
        noise = request.noise()
        measured = self._measured(request, None, noise)
        without = scaling.insensitive(measured, self._power)

        def step(sigmas: Tensor, lanes: Lanes) -> Tensor:
            scale = measured[lanes] * sigmas**self._sensitivity_growth
            scale = self._raised(scale, without[lanes], request)
            steps = sigmas * noise[lanes] / scale
            return steps.clamp_(-self._clip, self._clip)

        return step

    def _mutate_to(
        self, request: Request, wanted: np.ndarray, noise: Tensor, measured: Tensor, detailed: bool
    ) -> tuple[Tensor, MutationInfo]:
        """Children (N, P) that diverge as wanted (N,)."""
        without = scaling.insensitive(measured, self._power)
        directions = noise.div_(self._relative(measured, without, request.mask))
        reach = torch.linalg.vector_norm(measured * directions, dim=1, dtype=torch.float64).cpu().numpy()
        unknown = cautious(request.params, directions)
        with np.errstate(divide="ignore"):
            guesses = np.sqrt(AIM * wanted / self._reach) / reach
        # Saturated outputs hardly react: begin at no more than ten times the genome's length.
        guesses = np.where(reach > 0, np.fmin(guesses, 100 * unknown), unknown)
        least = self._shortest(request, directions)
        result, info = self._search(request, wanted, along(directions, self.weight_clip), guesses, least)
        if not detailed:
            return result.children, info
        steps = directions * torch.from_numpy(result.magnitude).to(directions)[:, None]
        info = replace(
            info,
            zero=request.share(without),
            clipped=request.share(steps.abs() > self._clip),
            sensitivity=request.genomes.restore(measured),
        )
        return result.children, info


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
