"""Scale a direction until a network's behaviour has changed by a wanted amount (SM-R, paper section 3.1).

For small magnitudes the divergence grows with the square of the magnitude, so the search works on
logarithms, where that law is a line of slope 2: extrapolate along it until the target is bracketed,
then close the bracket by false position (Illinois) with a bisection every third step. Several
parents are searched in lockstep; one that is finished takes no part in further passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, take
from safe_mutation.network import Network, run

MAX_GROWTH = np.log(8.0)  # largest step of ln(magnitude) while the target is not yet bracketed
FLAT_EXPANSIONS = 6  # so many of them in a row without growth: the outputs are saturated


class LineSearch(NamedTuple):
    """What a search found, for N parents.

    Attributes:
        children: Parents plus scaled direction (N, P).
        magnitude: Factor of the direction (N,), float64.
        divergence: Divergence reached by the children (N,), float64.
        status: For each "converged", "saturated" (no magnitude changes the outputs enough), "jump" (the
            divergence steps over the target) or "exhausted" (out of passes).
        forward_passes: Passes of the network, the parents' own included.
    """

    children: Tensor
    magnitude: np.ndarray
    divergence: np.ndarray
    status: list[str]
    forward_passes: int


@dataclass
class _Brackets:
    """Per parent: the magnitudes tried on either side of the target, as logarithms."""

    low: np.ndarray  # ln m with too small a divergence, and ln(divergence / target) there
    low_excess: np.ndarray
    high: np.ndarray
    high_excess: np.ndarray


def search(
    network: Network,
    parents: Tensor,
    directions: Tensor,
    inputs: Experiences,
    target: float,
    *,
    tolerance: float = 0.01,
    max_passes: int = 40,
) -> LineSearch:
    """Find m > 0 for which divergence(w, w + m d) is the target, to a relative tolerance.

    Args:
        network: ``network(params (N, P), inputs (N, I, ...)) -> (N, I, K)``; only its outputs are used.
        parents: w, genomes (N, P).
        directions: d (N, P).
        inputs: Experiences (N, I, ...).
        target: Wanted divergence (equation 1).
        tolerance: Accepted relative deviation from it.
        max_passes: Forward passes before giving up.
    """
    with torch.no_grad():
        base = run(network, parents, inputs)
        if not torch.isfinite(base).all():
            bad = int((~torch.isfinite(base)).flatten(1).any(1).nonzero()[0])
            raise ValueError(f"expected finite outputs, got nan or inf from parent {bad}")
        return _search(network, parents, directions, inputs, base, target, tolerance, max_passes)


def _search(
    network: Network,
    parents: Tensor,
    directions: Tensor,
    inputs: Experiences,
    base: Tensor,
    target: float,
    tolerance: float,
    max_passes: int,
) -> LineSearch:
    number = len(parents)
    scale = torch.linalg.vector_norm(parents, dim=1) / torch.linalg.vector_norm(directions, dim=1)
    # A hundredth of the genome's length: mostly inside the quadratic range, and well above rounding.
    guess = np.log(np.maximum(1e-2 * scale.double().cpu().numpy(), 1e-3))
    brackets = _Brackets(
        np.full(number, -np.inf), np.full(number, -np.inf), np.full(number, np.inf), np.full(number, np.inf)
    )
    children = parents.clone()
    best_magnitude, best = np.zeros(number), np.zeros(number)
    best_miss = np.full(number, np.inf)
    status = np.full(number, "", dtype=object)
    flat = np.zeros(number, dtype=int)
    sides = np.zeros(number, dtype=int)  # how often in a row the same end of the bracket was replaced
    active = np.arange(number)
    passes = 1
    while active.size and passes < max_passes:
        magnitude = np.exp(guess[active])
        lanes = slice(None) if active.size == number else torch.as_tensor(active, device=parents.device)
        factors = torch.as_tensor(magnitude, device=parents.device, dtype=parents.dtype)[:, None]
        candidates = parents[lanes] + factors * directions[lanes]
        outputs = run(network, candidates, take(inputs, lanes))
        passes += 1
        reached = (outputs - base[lanes]).double().square().sum(2).mean(1).cpu().numpy()
        reached = np.where(np.isfinite(reached), reached, np.inf)
        with np.errstate(divide="ignore"):
            excess = np.log(reached) - np.log(target)
        miss = np.abs(reached / target - 1)
        better = miss < best_miss[active] * 0.999  # a tie goes to the magnitude tried first
        improved = active[better]
        best_magnitude[improved], best[improved] = magnitude[better], reached[better]
        best_miss[improved] = miss[better]
        children[torch.as_tensor(improved, device=parents.device)] = candidates[
            torch.as_tensor(np.flatnonzero(better), device=parents.device)
        ]
        for n, value, close in zip(active, excess, miss <= tolerance, strict=True):
            status[n] = "converged" if close else _next_guess(brackets, guess, flat, sides, int(n), value)
        active = active[status[active] == ""]
    status[status == ""] = "exhausted"
    return LineSearch(children, best_magnitude, best, list(status), passes)


def _next_guess(
    brackets: _Brackets, guess: np.ndarray, flat: np.ndarray, sides: np.ndarray, n: int, excess: float
) -> str:
    """Take in what parent n's guess gave and choose its next one; returns a status when there is none."""
    at = guess[n]
    slope = 2.0
    if excess < 0:
        previous, previous_excess = brackets.low[n], brackets.low_excess[n]
        if np.isfinite(previous_excess) and np.isfinite(excess):
            slope = float(np.clip((excess - previous_excess) / (at - previous), 0.25, 4.0))
        grew = excess > previous_excess + 0.01 if np.isfinite(previous_excess) else np.isfinite(excess)
        flat[n] = 0 if grew else flat[n] + 1
        sides[n] = min(sides[n], 0) - 1
        brackets.low[n], brackets.low_excess[n] = at, excess
    else:
        previous, previous_excess = brackets.high[n], brackets.high_excess[n]
        if np.isfinite(previous_excess) and np.isfinite(excess) and at < previous:
            slope = float(np.clip((previous_excess - excess) / (previous - at), 0.25, 4.0))
        sides[n] = max(sides[n], 0) + 1
        brackets.high[n], brackets.high_excess[n] = at, excess
    low, high = brackets.low[n], brackets.high[n]
    if np.isinf(high):
        if flat[n] >= FLAT_EXPANSIONS:
            return "saturated"
        step = -excess / slope if np.isfinite(excess) else MAX_GROWTH
        guess[n] = at + min(max(step, 0.01), MAX_GROWTH)
        return ""
    if np.isinf(low):
        step = excess / slope if np.isfinite(excess) else MAX_GROWTH
        guess[n] = at - max(step, 0.01)
        return ""
    if high - low < 1e-6:
        return "jump"
    guess[n] = _inside(brackets, n, int(sides[n]))
    return ""


def _inside(brackets: _Brackets, n: int, sides: int) -> float:
    """A point inside a bracket: false position, halving the excess of an end that stays too long."""
    low, high = brackets.low[n], brackets.high[n]
    below, above = brackets.low_excess[n], brackets.high_excess[n]
    if abs(sides) >= 3 or not (np.isfinite(below) and np.isfinite(above)):
        return float((low + high) / 2)
    if sides >= 2:
        below = below / 2
    elif sides <= -2:
        above = above / 2
    return float(low + (high - low) * below / (below - above))
