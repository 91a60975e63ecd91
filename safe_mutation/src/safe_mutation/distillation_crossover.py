"""Crossover by imitation: each parent teaches its child what it does on what it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.batched_network import planned
from safe_mutation.chunks import parents_at_once
from safe_mutation.crossover_info import CrossoverInfo
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.network import differentiable, run_rows
from safe_mutation.noise import Generator
from safe_mutation.pairs import Pairs, read_pairs
from safe_mutation.plain_mode import plain_mode
from safe_mutation.rows import Rows

STARTS = ("mean", "first")


@documented
@dataclass(frozen=True)
class DistillationCrossover:
    """A child that learns, by gradient descent, to do what each parent does on that parent's experiences.

    It starts between the parents or at the first of them and descends the sum of its divergences from both,
    by Adam. Where the parents have seen the same and do otherwise, it compromises: no critic says who is
    right (the distillation crossover of PDERL, Bodnar, Day and Lio 2020, has one). Not in the paper.
    """

    network: Any = field(
        metadata=doc("As for the mutations: an nn.Module, or a function of genomes and experiences.")
    )
    steps: int = field(default=50, kw_only=True, metadata=doc("Steps of gradient descent."))
    learning_rate: float = field(
        default=0.01, kw_only=True, metadata=doc("Of Adam: the length of a step of one weight, roughly.")
    )
    start: str = field(
        default="mean",
        kw_only=True,
        metadata=doc('Where the child begins: at the parents\' "mean", or as the "first" of them.'),
    )
    max_experiences: int | None = field(
        default=100, kw_only=True, metadata=doc("Use at most so many of each parent; None for all.")
    )
    chunk_size: int | None = field(
        default=None, kw_only=True, metadata=doc("Pairs computed at once; by default what fits into caches.")
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", planned(self.network))
        if self.steps is None:
            raise ValueError("expected steps to be an integer of at least 1, got None")
        for name in ("steps", "max_experiences", "chunk_size"):
            require_count(name, getattr(self, name))
        require_positive("learning_rate", self.learning_rate)
        if self.start not in STARTS:
            raise ValueError(f"expected start to be one of {STARTS}, got {self.start!r}")

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
            parents: First parents (N, P), or one (P,).
            others: Second parents, as many, of the same network.
            experiences: A pair: what the first parents have seen and what the second have, each in any form
                that mutations take.
            per_parent: Whether every parent brings a set of its own.
            generator: A seed or generator, or a sequence of one for each pair. It draws experiences where
                there are more than are used.
            return_info: Also return a CrossoverInfo.

        Returns:
            Children: a fresh array like ``parents``; with ``return_info`` a pair (children, info).

        Raises:
            ValueError: On parents of different networks, on values that are not finite, before or after, and
                on experiences on which the outputs do not react to the weights that a child begins with, as
                where both parents are saturated.
            TypeError: On arrays of the wrong kind, and on a network without gradients.
        """
        with plain_mode():
            pairs = read_pairs(
                self.network, parents, others, experiences, per_parent, generator, self.max_experiences
            )
            ways = self.network.prepare(pairs.params, pairs.inputs)
            self.network.prepare(pairs.others, pairs.other_inputs)
            children = torch.empty_like(pairs.params)
            looped = ways.plan.batching == "looped"
            for some in parents_at_once(pairs.params, pairs.inputs, self.chunk_size, looped):
                children[some] = self._taught(pairs, some)
            require_finite(children, "finite children (a smaller learning rate?)")
            children = children.to(pairs.genomes.dtype)
            restored = pairs.genomes.restore(children)
            return (restored, CrossoverInfo.of(self.network, pairs, children)) if return_info else restored

    def _taught(self, pairs: Pairs, some: slice) -> Tensor:
        """The children (n, P) of some pairs."""
        teachers = [
            (self._outputs(params[some], inputs), inputs)
            for params, inputs in (
                (pairs.params, take(pairs.inputs, some)),
                (pairs.others, take(pairs.other_inputs, some)),
            )
        ]
        first, second = pairs.params[some], pairs.others[some]
        child = ((first + second) / 2 if self.start == "mean" else first.clone()).requires_grad_()
        optimizer = torch.optim.Adam([child], lr=self.learning_rate)
        for step in range(self.steps):
            with torch.enable_grad():
                lessons = [self._lesson(child, taught, inputs) for taught, inputs in teachers]
                loss = torch.stack(lessons).sum(0)  # (n,)
                (gradient,) = torch.autograd.grad(loss.sum(), child)
            if step == 0:
                self._refuse_saturated(loss.detach(), gradient, some.start or 0)
            child.grad = gradient
            optimizer.step()
        return child.detach()

    def _outputs(self, params: Tensor, inputs: Experiences) -> Rows:
        with torch.no_grad():
            return run_rows(self.network, params, inputs)

    def _lesson(self, child: Tensor, taught: Rows, inputs: Experiences) -> Tensor:
        rows = run_rows(self.network, child, inputs)
        differentiable(rows.outputs)
        return rows.divergence_from(taught)

    def _refuse_saturated(self, loss: Tensor, gradient: Tensor, first: int) -> None:
        stuck = (gradient == 0).all(1) & (loss > 0)
        if stuck.any():
            raise ValueError(
                "expected experiences on which outputs react to the weights that a child begins with, got "
                f"none for pair {first + int(stuck.nonzero()[0])}: it is saturated there"
            )
