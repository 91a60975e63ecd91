"""Choosing how several genomes are computed at once: the first way that gives what a loop over them gives.

Outputs and gradients are compared on a few experiences. A module may hold what acts otherwise on stand-ins
for tensors, such as a custom autograd function, which gives them no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, map_leaves, take
from safe_mutation.out_of_memory import lacks_memory
from safe_mutation.plain_mode import plain_mode
from safe_mutation.repeatable import alike
from safe_mutation.torch_internals import gaps_are_errors

Compute: TypeAlias = Callable[[Tensor, Experiences], Any]
Answer: TypeAlias = "tuple[Any, Tensor | None]"

DRAWN = 2**19  # numbers that cost little to draw, whatever the network does
CLEARLY = 0.01  # of a parameter's largest gradient: what no rounding explains


def faithful(
    ways: Mapping[str, Compute],
    loop: Compute,
    params: Tensor,
    inputs: Experiences,
    sizes: list[int],
    *,
    gradients: bool = True,
) -> str | None:
    """The name of the first way that torch can do and that gives what the loop gives; None for no way.

    Args:
        ways: Functions of genomes and experiences that return outputs, by name.
        loop: The function that is right.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...).
        sizes: Lengths of the parameters that make up a genome.
        gradients: Whether gradients are compared, too; they take as much memory as genomes.
    """
    with plain_mode():
        some = _ordinary(params[:2])
        few = map_leaves(_ordinary, take(inputs, (slice(len(some)), slice(3))))
        if len(some) > 1 and some.numel() > DRAWN:  # parents may be alike, which hides that they are mixed
            some = torch.cat([some[:1], 0.7 * some[:1].roll(1, 1)])
        tried = [some]
        if some.numel() <= DRAWN:  # they may be saturated, too
            drawn = torch.randn(some.shape, generator=torch.Generator().manual_seed(0), dtype=some.dtype)
            tried.append(0.3 * drawn.to(some.device))

        def answers(compute: Compute) -> list[Answer]:
            return [_answer(compute, genomes, few, gradients) for genomes in tried]

        expected = answers(loop)
        for name, compute in ways.items():
            try:
                with gaps_are_errors():
                    found = answers(compute)
            except Exception as error:
                if lacks_memory(error):
                    raise
                continue
            if all(_equal(*pair, sizes) for pair in zip(found, expected, strict=True)):
                return name
    return None


def _answer(compute: Compute, genomes: Tensor, inputs: Experiences, gradients: bool) -> Answer:
    """Outputs, and the gradient (N, P) of their sum with weights that differ; None where there is none."""
    if not gradients:
        with torch.no_grad():
            return compute(genomes, inputs), None
    try:
        with torch.enable_grad():
            leaf = genomes.detach().requires_grad_()
            outputs = compute(leaf, inputs)
        if not isinstance(outputs, Tensor) or not outputs.requires_grad:
            return outputs, None
        weights = torch.linspace(1, 2, outputs[0].numel(), dtype=outputs.dtype, device=outputs.device)
        weights = weights.view(outputs.shape[1:]).expand_as(outputs)
        return outputs.detach(), torch.autograd.grad(outputs, leaf, weights)[0]
    except RuntimeError as error:  # a network without gradients is good for SM-R
        if lacks_memory(error):
            raise
        return _answer(compute, genomes, inputs, False)


def _equal(found: Answer, expected: Answer, sizes: list[int]) -> bool:
    (outputs, gradient), (right_outputs, right_gradient) = found, expected
    if not (isinstance(outputs, Tensor) and isinstance(right_outputs, Tensor)):
        return False  # the caller says so
    if not alike(outputs, right_outputs) or (gradient is None) != (right_gradient is None):
        return False
    if gradient is None or right_gradient is None:
        return True
    rounding = 1000 * torch.finfo(gradient.dtype).eps * float(right_gradient.nan_to_num().abs().amax())
    for part, right in zip(gradient.split(sizes, 1), right_gradient.split(sizes, 1), strict=True):
        difference = CLEARLY * float(right.nan_to_num().abs().amax()) + rounding
        if not torch.allclose(part, right, rtol=0, atol=difference, equal_nan=True):
            return False
    return True


def _ordinary(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one of inference mode, which could not take part in a gradient."""
    return tensor.clone() if tensor.is_inference() else tensor
