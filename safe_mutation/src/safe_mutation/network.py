"""What the operators ask of a network, and how they call it.

    outputs = network(params, inputs)      # (N, P), (N, I, ...) -> (N, I, K), or (N, I, T, K)

Lane n of the outputs depends on ``params[n]`` and ``inputs[n]`` only. ``FlatNetwork`` makes such a
function of an nn.Module, ``torch.vmap`` of a function of one genome; functions of stacked weights
are fastest. A network may say how long its genomes are in an attribute ``num_params``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves
from safe_mutation.out_of_memory import lacks_memory
from safe_mutation.outputs import read_outputs
from safe_mutation.rows import Rows, join

Network: TypeAlias = Callable[[Any, Any], Any]

# How a network fails on arguments that it cannot take.
FAILURES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip

_OTHER_DTYPE = ("same dtype", "scalar type", "should be the same", "match weight dtype")  # as torch says it


def run(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    """Outputs of every parent as rows (N, R, K), see ``Rows``.

    Raises:
        TypeError: If the network returns no array.
        ValueError: If it cannot take the experiences, or its outputs have another shape than promised.
    """
    return run_rows(network, params, inputs).outputs


def run_rows(
    network: Network,
    params: Tensor,
    inputs: Experiences,
    forward: Callable[[Network, Tensor, Experiences], Tensor] | None = None,
) -> Rows:
    """Outputs as ``run`` gives them, with the weights of the rows.

    Args:
        network: See the top of this file.
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...) or ExperienceSets.
        forward: Calls the network on a rectangle of experiences (N, I, ...).

    Raises:
        ValueError: As ``run``.
        TypeError: As ``run``.
    """
    forward = forward or _run_rectangle
    if not isinstance(inputs, ExperienceSets):
        return Rows(forward(network, params, inputs), None)
    parts = []
    for part in inputs.rectangles:
        some = params if part.lanes is None else params[part.lanes]
        parts.append((part, forward(network, some, part.inputs)))
    if len({outputs.shape[2] for _, outputs in parts}) > 1:
        raise ValueError(
            "expected as many outputs for experiences of every shape, got "
            + ", ".join(str(outputs.shape[2]) for _, outputs in parts)
        )
    return join(parts, len(params))


def _run_rectangle(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    try:
        outputs = network(params, inputs)
    except FAILURES as error:
        if lacks_memory(error):
            raise
        given = ", ".join(f"{tuple(leaf.shape)} {leaf.dtype}" for leaf in leaves(inputs))
        raise ValueError(
            f"expected a network that can take genomes {tuple(params.shape)} {params.dtype} and experiences "
            f"{given}, got {type(error).__name__}: {error}{_cure(error, inputs)}"
        ) from error
    return read_outputs(outputs, params, count(inputs, axis=1))


def _cure(error: Exception, inputs: Experiences) -> str:
    if not any(words in str(error) for words in _OTHER_DTYPE):
        return ""
    if all(leaf.is_floating_point() for leaf in leaves(inputs)):
        return (
            " (weights have the genomes' precision: to compute in another, use torch.autocast inside forward)"
        )
    return " (experiences that are integers stay so: give a network of Linear layers floats)"


def differentiable(outputs: Tensor) -> Tensor:
    """The outputs, if gradients can flow from them to the weights.

    Raises:
        TypeError: If they cannot.
    """
    if not outputs.requires_grad:
        raise TypeError(
            "expected outputs that are differentiable in params, as gradients are needed, got a tensor "
            "without them (as an argmax, integers and what is computed under no_grad are); of the mutations "
            "SMR works with any network"
        )
    return outputs
