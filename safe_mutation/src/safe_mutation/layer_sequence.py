"""Modules that are nothing but layers one after the other, computed for many genomes without calling them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn

from safe_mutation.stacked_functions import linear_of_values

LinearLayer: TypeAlias = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]

# Layers that act on every number by itself, and so on stacks (N, features, I) as on any tensor.
ENTRY_BY_ENTRY = (
    nn.Identity, nn.Tanh, nn.ReLU, nn.Sigmoid, nn.SELU, nn.ELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Softplus, nn.LeakyReLU, nn.Hardtanh, nn.ReLU6, nn.Hardsigmoid, nn.Hardswish, nn.Softsign,
    nn.Tanhshrink, nn.LogSigmoid,
)  # fmt: skip


def sequence_of(module: nn.Module) -> list[nn.Module] | None:
    """The layers of a (nested) nn.Sequential of linear layers and activations, each weight used once.

    None for other modules.
    """
    layers: list[nn.Module] = []
    todo = [module]
    while todo:
        layer = todo.pop()
        if layer._forward_hooks or layer._forward_pre_hooks:
            return None
        if type(layer) is nn.Sequential:
            todo += reversed(list(layer))
        elif type(layer) is nn.Linear or type(layer) in ENTRY_BY_ENTRY:
            layers.append(layer)
        else:
            return None
    weights = [id(weight) for layer in layers for weight in layer._parameters.values() if weight is not None]
    return layers if len(weights) == len(set(weights)) else None


def run_sequence(layers: list[nn.Module], inputs: Tensor, linear: LinearLayer = linear_of_values) -> Tensor:
    """Outputs (N, I, K), the weights of the layers being stacks (N, out, in), or (out, in) where frozen.

    Args:
        layers: What ``sequence_of`` returned.
        inputs: (N, I, features).
        linear: Computes weight @ values + bias for values (N, in, I).
    """
    values = inputs.transpose(1, 2)
    for layer in layers:
        if type(layer) is nn.Linear:
            weights: dict[str, Any] = layer._parameters
            values = linear(values, weights["weight"], weights["bias"])
        else:
            values = layer.forward(values)
    return values.transpose(1, 2)
