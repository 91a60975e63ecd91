"""What the crossovers share: reading a call, giving back the children, and saying what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from safe_mutation.arguments import doc, documented, require_count
from safe_mutation.batched_network import planned
from safe_mutation.crossover_info import CrossoverInfo
from safe_mutation.experience_sets import naming_experiences
from safe_mutation.noise import Generator
from safe_mutation.pairs import Pairs, read_pairs
from safe_mutation.plain_mode import plain_mode


@documented
@dataclass(frozen=True)
class Crossover:
    """A crossover operator: settings only, immutable, and picklable if the network is.

    A subclass says in ``_cross`` how children are made; everything around that is done here.
    """

    network: Any = field(
        metadata=doc("As for the mutations: an nn.Module, or a function of genomes and experiences.")
    )
    max_experiences: int | None = field(
        default=100, kw_only=True, metadata=doc("Use at most so many of each parent; None for all.")
    )
    chunk_size: int | None = field(
        default=None, kw_only=True, metadata=doc("Pairs computed at once; by default what fits into caches.")
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", planned(self.network))
        for name in ("max_experiences", "chunk_size"):
            require_count(name, getattr(self, name), or_none=True)

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
            parents: First parents (N, P), or one (P,), whose behaviour a divergence protects.
            others: Second parents, as many, of the same network.
            experiences: A pair: what the first parents have seen and what the second have, each in any form
                that mutations take.
            per_parent: Whether every parent brings a set of its own.
            generator: A seed or generator, or a sequence of one for each pair. It draws experiences where
                there are more than are used, and the probes of sensitivities.
            return_info: Also return a CrossoverInfo.

        Returns:
            Children: a fresh array like ``parents``; with ``return_info`` a pair (children, info).

        Raises:
            ValueError: On parents of different networks, on values that are not finite, before or after, and
                on experiences on which outputs do not react to the weights, as where both parents are
                saturated.
            TypeError: On arrays of the wrong kind, and on a network without gradients.
        """
        with plain_mode():
            pairs = read_pairs(
                self.network, parents, others, experiences, per_parent, generator, self.max_experiences
            )
            with naming_experiences(pairs.inputs, pairs.other_inputs):
                children, share, passes = self._cross(pairs)
            children = children.to(pairs.genomes.dtype)
            restored = pairs.genomes.restore(children)
            if not return_info:
                return restored
            return restored, CrossoverInfo.of(self.network, pairs, children, share, passes)

    def _cross(self, pairs: Pairs) -> tuple[Tensor, np.ndarray | None, int]:
        """Children (N, P), how far along a way they are (N,) if there is one, and passes of a search."""
        raise NotImplementedError
