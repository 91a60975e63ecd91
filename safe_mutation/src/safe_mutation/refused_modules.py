"""Refusing modules that no genome can hold, or on whose outputs nothing could be measured."""

from __future__ import annotations

from torch import nn


def refuse_unsuitable(module: nn.Module) -> None:
    """Refuse modules that cannot be a network of genomes.

    Raises:
        ValueError: Naming the parameter or the layer, and the reason.
    """
    _refuse_parameters(module)
    _refuse_layers(module)


def _refuse_parameters(module: nn.Module) -> None:
    """Parameters that a genome of real numbers cannot hold."""
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"expected parameters that have a shape, got a lazy one, {name!r}: call the module once first"
            )
        if parameter.requires_grad and parameter.is_complex():
            raise ValueError(
                f"expected trainable parameters of real numbers, got {name!r} of {parameter.dtype}: keep "
                "real and imaginary parts, and join them in forward by torch.view_as_complex"
            )


def _refuse_layers(module: nn.Module) -> None:
    """Layers that change when they are called, or whose outputs depend on other experiences or on chance."""
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) and layer.max_norm is not None:
            raise ValueError(
                f"expected embeddings without max_norm, got {name!r} with {layer.max_norm:g}: it changes its "
                "weights while it looks them up"
            )
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
            raise ValueError(
                f"expected batch normalisation with running statistics, got {name!r} "
                "without: the outputs for one experience depend on all others"
            )
        reason = _why_not_in_training(layer) if layer.training else None
        if reason:
            raise ValueError(
                f"expected a module in eval mode, got {type(layer).__name__} {name!r} in train mode, where "
                f"{reason}: call module.eval() first"
            )


def _why_not_in_training(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return "the outputs for one experience depend on all others"
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm) and layer.track_running_stats:
        return "every call changes its running statistics"
    if "SpectralNorm" in type(layer).__name__:
        return "every call changes its estimate of the norm"
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        drop = layer.p
    elif isinstance(layer, (nn.RNNBase, nn.MultiheadAttention)):
        drop = layer.dropout
    else:
        return None
    return f"dropout ({drop:g}) makes the outputs depend on chance" if drop > 0 else None
