"""Crossover that keeps each weight near the parent whose outputs depend on it more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safe_mutation import line_search, scaling, sensitivity
from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.batched_network import planned
from safe_mutation.crossover_info import CrossoverInfo
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.line_search import Lanes, Step
from safe_mutation.noise import Generator, RandomSigns
from safe_mutation.pairs import Pairs, read_pairs
from safe_mutation.plain_mode import plain_mode

SEARCHING = 0.9  # of the square-root law: where a search for the divergence begins


@documented
@dataclass(frozen=True)
class FisherCrossover:
    """A child between two parents: w = (s_a^2 w_a + s_b^2 w_b) / (s_a^2 + s_b^2), no further than is safe.

    s is each parent's root mean square sensitivity on its own experiences, so that the merge is a precise
    one where a weight matters to one parent only (a diagonal Fisher merge; Matena and Raffel 2022). From the
    first parent the child goes towards the merge until its outputs have diverged as far as they may; all
    the way, if they do not diverge so far. Neither rewards nor training are needed; not in the paper.
    """

    network: Any = field(
        metadata=doc("As for the mutations: an nn.Module, or a function of genomes and experiences.")
    )
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
    max_experiences: int | None = field(
        default=100, kw_only=True, metadata=doc("Use at most so many of each parent; None for all.")
    )
    probes: int | None = field(
        default=4,
        kw_only=True,
        metadata=doc(
            "Random signs drawn for each output where the sensitivity is not exact, each a backward pass; "
            "None for exact ones, which take much longer."
        ),
    )
    chunk_size: int | None = field(
        default=None, kw_only=True, metadata=doc("Pairs computed at once; by default what fits into caches.")
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", planned(self.network))
        if self.divergence is not None:
            require_positive("divergence", self.divergence)
        require_positive("tolerance", self.tolerance)
        require_count("max_passes", self.max_passes, least=3)
        for name in ("max_experiences", "probes", "chunk_size"):
            require_count(name, getattr(self, name))

    def __call__(
        self,
        parents: Any,
        others: Any,
        *,
        experiences: Any,
        per_parent: bool = False,
        generator: Generator | Sequence[Generator] = None,
        return_info: bool = False,
    ) -> Any:
        """Cross pairs of parents.

        Args:
            parents: First parents (N, P), or one (P,), whose behaviour the divergence protects.
            others: Second parents, as many, of the same network.
            experiences: A pair: what the first parents have seen and what the second have, each in any form
                that mutations take.
            per_parent: Whether every parent brings a set of its own.
            generator: A seed or generator, or a sequence of one for each pair. It draws probes, and
                experiences where there are more than are used.
            return_info: Also return a CrossoverInfo.

        Returns:
            Children: a fresh array like ``parents``; with ``return_info`` a pair (children, info).

        Raises:
            ValueError: On parents of different networks, on values that are not finite, and on experiences on
                which no weight of either parent has any effect, as where both are saturated.
            TypeError: On arrays of the wrong kind, and on a network without gradients.
        """
        with plain_mode():
            pairs = read_pairs(
                self.network, parents, others, experiences, per_parent, generator, self.max_experiences
            )
            towards = self._merge(pairs) - pairs.params
            children, share, passes = self._step(pairs, towards)
            children = children.to(pairs.genomes.dtype)
            restored = pairs.genomes.restore(children)
            if not return_info:
                return restored
            return restored, CrossoverInfo.of(self.network, pairs, children, share, passes)

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

    def _step(self, pairs: Pairs, towards: Tensor) -> tuple[Tensor, np.ndarray, int]:
        """Children (N, P), how far along the way they are (N,), and the forward passes of the search."""
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


def no_further_than(towards: Tensor) -> Step:
    """Steps (n, P) along the way to a merge that end there."""

    def step(magnitudes: Tensor, lanes: Lanes) -> Tensor:
        return magnitudes.clamp(max=1) * towards[lanes]

    return step
