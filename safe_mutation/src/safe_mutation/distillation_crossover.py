"""Crossover by imitation: each parent teaches its child what it does on what it has seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from safe_mutation.arguments import doc, documented, require_count, require_positive
from safe_mutation.chunks import parents_at_once
from safe_mutation.crossover import Crossover
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.network import differentiable, run_rows
from safe_mutation.pairs import Pairs
from safe_mutation.rows import Rows

STARTS = ("mean", "first")


@documented
@dataclass(frozen=True)
class DistillationCrossover(Crossover):
    """A child that learns, by gradient descent, to do what each parent does on that parent's experiences.

    It starts between the parents or at the first of them and descends the sum of its divergences from both,
    by Adam. Where the parents have seen the same and do otherwise, it compromises: no critic says who is
    right (the distillation crossover of PDERL, Bodnar, Day and Lio 2020, has one). Not in the paper.
    """

    steps: int = field(default=50, kw_only=True, metadata=doc("Steps of gradient descent."))
    learning_rate: float = field(
        default=0.01, kw_only=True, metadata=doc("Of Adam: the length of a step of one weight, roughly.")
    )
    start: str = field(
        default="mean",
        kw_only=True,
        metadata=doc('Where the child begins: at the parents\' "mean", or as the "first" of them.'),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("steps", self.steps)
        require_positive("learning_rate", self.learning_rate)
        if self.start not in STARTS:
            raise ValueError(f"expected start to be one of {STARTS}, got {self.start!r}")

    def _cross(self, pairs: Pairs) -> tuple[Tensor, None, int]:
        """Children (N, P); there is no way and no search."""
        ways = self.network.prepare(pairs.params, pairs.inputs)
        self.network.prepare(pairs.others, pairs.other_inputs)
        children = torch.empty_like(pairs.params)
        looped = ways.plan.batching == "looped"
        for some in parents_at_once(pairs.params, pairs.inputs, self.chunk_size, looped):
            children[some] = self._taught(pairs, some)
        require_finite(children, "finite children (a smaller learning rate?)")
        return children, None, 0

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
                self._refuse_saturated(loss.detach(), gradient, some.start)
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
