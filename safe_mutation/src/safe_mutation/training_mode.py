"""Refusing modules whose outputs for one experience depend on the others or on chance."""

from __future__ import annotations

from torch import nn


def refuse_training_mode(module: nn.Module) -> None:
    """Refuse modules whose outputs for one experience depend on the others or on chance.

    Raises:
        ValueError: Naming the layer and the reason.
    """
    for name, layer in module.named_modules():
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
