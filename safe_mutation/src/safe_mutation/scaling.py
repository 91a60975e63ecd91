"""From sensitivities (N, P) to what the noise of each weight is divided by."""

from __future__ import annotations

import torch
from torch import Tensor

DAMPING = 0.1  # with exponent 1 a step is at most 1 / DAMPING times that of the root mean square sensitivity


def insensitive(sensitivities: Tensor, power: int) -> Tensor:
    """Weights whose computed sensitivity cannot be told from zero (N, P), bool.

    An exact zero often computes as rounding noise, for example that of an attention layer's key bias.

    Args:
        sensitivities: s (N, P).
        power: s to this power is what gradients gave, so that rounding noise is relative to its largest.
    """
    noise = torch.finfo(sensitivities.dtype).eps ** (1 / power) * sensitivities.amax(1, keepdim=True)
    return sensitivities <= noise


def absolute_(sensitivities: Tensor, without: Tensor, zero: float, floor: float) -> Tensor:
    """The paper's rule, in place: weights without effect get ``zero``, then ``floor`` is the least."""
    return sensitivities.masked_fill_(without, zero).clamp_(min=floor)


def relative(
    sensitivities: Tensor,
    without: Tensor,
    mask: Tensor | None,
    exponent: float = 1.0,
    damping: float = DAMPING,
) -> Tensor:
    """A rule without a constant of the outputs' scale: sqrt( s^2 + (0.1)^2 mean s^2 ), to a power.

    The mean is over the weights that mutate and that have any effect. Those without effect get the mean step
    of the others; if there are no others, they are not rescaled.
    """
    scale, counted, number = _damped(sensitivities, without, mask, exponent, damping)
    steps = (1 / scale).masked_fill_(~counted, 0).sum(1, keepdim=True) / number
    typical = torch.where(steps > 0, 1 / steps, 1)
    return torch.where(without, typical, scale)


def lightly_damped(
    sensitivities: Tensor, without: Tensor, mask: Tensor | None, exponent: float, damping: float
) -> Tensor:
    """The same, but weights without effect go as far as one of the root mean square sensitivity.

    Where damping is light, those that hardly matter go far, and by the rule above these would go along.
    """
    scale, counted, number = _damped(sensitivities, without, mask, exponent, damping)
    mean = scale.square().masked_fill_(~counted, 0).sum(1, keepdim=True) / number
    typical = torch.where(mean > 0, mean.sqrt(), 1)
    return torch.where(without, typical, scale)


def _damped(
    sensitivities: Tensor, without: Tensor, mask: Tensor | None, exponent: float, damping: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Damped sensitivities (N, P), which weights the means are over (N, P), and how many, or 1 (N, 1)."""
    counted = ~without if mask is None else ~without & mask
    number = counted.sum(1, keepdim=True).clamp_(min=1)
    squares = (sensitivities / largest(sensitivities)).square_()  # relative: squares could overflow
    mean = squares.masked_fill(~counted, 0).sum(1, keepdim=True) / number
    scale = squares.add_(damping**2 * mean).sqrt_()
    return (scale if exponent == 1 else scale.pow_(exponent)), counted, number


def largest(sensitivities: Tensor) -> Tensor:
    """Of each parent (N, 1), or 1 where all are zero."""
    largest = sensitivities.amax(1, keepdim=True)
    return torch.where(largest > 0, largest, 1)
