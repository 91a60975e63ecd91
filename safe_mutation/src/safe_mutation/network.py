"""What the operators ask of a network, and how they call it.

    outputs = network(params, inputs)      # (N, P), (N, I, ...) -> (N, I, K), or (N, I, T, K)

Lane n of the outputs depends on ``params[n]`` and ``inputs[n]`` only. ``FlatNetwork`` makes such a
function of an nn.Module, ``torch.vmap`` of a function of one genome; functions of stacked weights
are fastest. A network may say how long its genomes are in an attribute ``num_params``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, count, leaves

Network: TypeAlias = Callable[[Any, Any], Any]


def run(network: Network, params: Tensor, inputs: Experiences) -> Tensor:
    """Outputs of every parent as rows (N, R, K): R = I experiences, or I*T with outputs at each time step.

    Raises:
        TypeError: If the network returns no array.
        ValueError: If it cannot take the experiences, or its outputs have another shape than promised.
    """
    try:
        outputs = network(params, inputs)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, TypeError, AssertionError) as error:
        given = ", ".join(f"{tuple(leaf.shape)} {leaf.dtype}" for leaf in leaves(inputs))
        raise ValueError(
            f"expected experiences that the network can take, got {given} for genomes {tuple(params.shape)} "
            f"{params.dtype}, on which it failed: {error}"
        ) from error
    if not isinstance(outputs, Tensor):
        if isinstance(outputs, (tuple, list, dict)) or outputs is None:
            raise TypeError(
                f"expected the network to return one tensor, got {type(outputs).__name__}: choose the "
                "outputs that matter, for example FlatNetwork(module, forward=lambda module, x: module(x)[0])"
            )
        outputs = torch.as_tensor(outputs, device=params.device)
    parents, experiences = len(params), count(inputs, axis=1)
    if outputs.ndim not in (3, 4) or tuple(outputs.shape[:2]) != (parents, experiences):
        raise ValueError(
            f"expected outputs of shape (N, I, K) or (N, I, T, K) for N = {parents} genomes and "
            f"I = {experiences} experiences, got {tuple(outputs.shape)}"
        )
    if outputs.numel() == 0:
        raise ValueError(f"expected at least one output, got outputs of shape {tuple(outputs.shape)}")
    return outputs.flatten(1, 2) if outputs.ndim == 4 else outputs


def differentiable(outputs: Tensor) -> Tensor:
    """The outputs, if gradients can flow from them to the weights.

    Raises:
        TypeError: If they cannot.
    """
    if not outputs.requires_grad:
        raise TypeError(
            "expected outputs that are differentiable in params, as SM-G needs gradients, got a tensor "
            "without them; SMR works with any network"
        )
    return outputs


def chunks(network: Network, params: Tensor, inputs: Experiences, chunk_size: int | None) -> Iterator[slice]:
    """The parents in groups of ``chunk_size``, or of as many as one pass has room for."""
    parents, length = params.shape
    if chunk_size is None:
        # 256 stands for the activations of one experience, which cannot be seen from outside.
        each = length + sum(leaf[0].numel() + 256 * leaf.shape[1] for leaf in leaves(inputs))
        budget = 2**21 if params.is_cpu else 2**27  # what the caches hold, or what keeps a GPU busy
        chunk_size = 1 if getattr(network, "loops", False) else max(1, budget // each)
    for start in range(0, parents, chunk_size):
        yield slice(start, start + chunk_size)
