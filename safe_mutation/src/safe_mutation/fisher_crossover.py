"""Crossover that keeps each weight near the parent whose outputs depend on it more."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from safe_mutation import line_search, scaling, sensitivity
from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.crossover import Crossover
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.line_search import Lanes, Step
from safe_mutation.noise import RandomSigns
from safe_mutation.pairs import Pairs

SEARCHING = 0.9  # of the square-root law: where a search for the divergence begins


@documented
@dataclass(frozen=True)
class FisherCrossover(Crossover):
    """A child between two parents: w = (s_a^2 w_a + s_b^2 w_b) / (s_a^2 + s_b^2), no further than is safe.

    s is each parent's root mean square sensitivity on its own experiences, so that the merge is a precise
    one where a weight matters to one parent only (a diagonal Fisher merge; Matena and Raffel 2022). From the
    first parent the child goes towards the merge until its outputs have diverged as far as they may; all
    the way, if they do not diverge so far. Neither rewards nor training are needed; not in the paper.
    """

    divergence: float | None = field(
        default=None,
        kw_only=True,
        metadata=doc(
            "How far the child's outputs may be from the first parent's on its experiences (equation 1); "
            "None for the merge itself."
        ),
    )
    tolerance: float = field(
        default=0.1, kw_only=True, metadata=doc("Accepted relative deviation from the divergence.")
    )
    max_passes: int = field(
        default=40, kw_only=True, metadata=doc("Forward passes before the search for it gives up.")
    )
    probes: int | None = field(
        default=4,
        kw_only=True,
        metadata=doc(
            "Random signs drawn for each output where the sensitivity is not exact, each a backward pass; "
            "None for exact ones, which take much longer."
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divergence is not None:
            require_positive("divergence", self.divergence)
        require_positive("tolerance", self.tolerance)
        require_count("max_passes", self.max_passes, least=3)
        require_count("probes", self.probes, or_none=True)

    def _cross(self, pairs: Pairs) -> tuple[Tensor, np.ndarray, int]:
        """Children (N, P), how far along the way they are (N,), and the forward passes of the search."""
        towards = self._merge(pairs) - pairs.params
        children, share = pairs.params + towards, np.ones(len(towards))
        if self.divergence is None:
            return children, share, 0
        there = sensitivity.divergence(self.network, pairs.params, children, pairs.inputs).cpu().numpy()
        far = np.flatnonzero(~(there <= self.divergence))  # also what is not finite
        if len(far) == 0:
            return children, share, 2
        lanes = torch.from_numpy(far).to(towards.device)
        guesses = SEARCHING * np.sqrt(self.divergence / there[far])
        guesses = np.where(guesses > 0, guesses, 0.5)  # where the outputs of the merge are not finite
        result = line_search.search(
            self.network,
            pairs.params[lanes],
            no_further_than(towards[lanes]),
            take(pairs.inputs, lanes),
            np.full(len(far), self.divergence),
            guesses,
            rounded_to=pairs.genomes.dtype,
            tolerance=self.tolerance,
            max_passes=self.max_passes,
            chunk_size=self.chunk_size,
        )
        children[lanes], share[far] = result.children, np.fmin(result.magnitude, 1)
        return children, share, 2 + int(result.passes.max())

    def _merge(self, pairs: Pairs) -> Tensor:
        """The weighted mean of each pair (N, P); a weight without effect on either is the plain mean."""
        own = self._sensitivity(pairs, pairs.params, pairs.inputs)
        other = self._sensitivity(pairs, pairs.others, pairs.other_inputs)
        for sensitivities in (own, other):
            require_finite(sensitivities, "finite sensitivities")
        largest = torch.maximum(own.amax(1, keepdim=True), other.amax(1, keepdim=True))
        if (largest == 0).any():
            pair = int((largest[:, 0] == 0).nonzero()[0])
            raise ValueError(
                "expected experiences on which outputs react to the weights of one parent at least, got "
                f"none for pair {pair}: both are saturated there"
            )
        neither = scaling.insensitive(own, 1) & scaling.insensitive(other, 1)
        own, other = (own / largest).square_(), (other / largest).square_()  # squares could overflow
        weight = torch.where(neither, 0.5, other / (own + other).clamp_(min=torch.finfo(own.dtype).tiny))
        return pairs.params + weight * (pairs.others - pairs.params)

    def _sensitivity(self, pairs: Pairs, params: Tensor, inputs: Experiences) -> Tensor:
        """Of one parent of each pair (N, P). Both meet the same signs, so that chance cancels."""
        signs = None if self.probes is None else RandomSigns(pairs.streams.probes, self.probes)
        return sensitivity.root_mean_square(
            self.network, params, inputs, signs=signs, chunk_size=self.chunk_size
        )


def no_further_than(towards: Tensor) -> Step:
    """Steps (n, P) along the way to a merge that end there."""

    def step(magnitudes: Tensor, lanes: Lanes) -> Tensor:
        return magnitudes.clamp(max=1) * towards[lanes]

    return step
