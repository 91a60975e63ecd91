"""Scale a direction until a network's behaviour has changed by a wanted amount (SM-R, paper section 3.1).

For small magnitudes the divergence grows with the square of the magnitude, so the search works on
logarithms, where that law is a line of slope 2: extrapolate along it until the target is bracketed,
then close the bracket by false position (Illinois) with a bisection every third step. Several
parents are searched in lockstep; one that is finished takes no part in further passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from safe_mutation.batched_network import planned
from safe_mutation.chunks import parents_at_once
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.network import Network, run_rows
from safe_mutation.out_of_memory import naming_chunk_size

MAX_GROWTH = math.log(8.0)  # largest step of ln(magnitude) while the target is not yet bracketed
FLAT_EXPANSIONS = 6  # so many of them in a row without growth: the outputs are saturated


class LineSearch(NamedTuple):
    """What a search found, for N parents.

    Attributes:
        children: Parents plus scaled direction (N, P).
        magnitude: Factor of the direction (N,), float64.
        divergence: Divergence reached by the children (N,), float64.
        status: For each "converged", "saturated" (no magnitude changes the outputs enough), "jump" (the
            divergence steps over the target) or "exhausted" (out of passes).
        forward_passes: Passes of the network that the longest search took, the parents' own included.
    """

    children: Tensor
    magnitude: np.ndarray
    divergence: np.ndarray
    status: list[str]
    forward_passes: int


@naming_chunk_size()
def search(
    network: Network,
    parents: Tensor,
    directions: Tensor,
    inputs: Experiences,
    target: float,
    *,
    tolerance: float = 0.01,
    max_passes: int = 40,
    chunk_size: int | None = None,
) -> LineSearch:
    """Find m > 0 for which divergence(w, w + m d) is the target, to a relative tolerance.

    Where there is none, the closest child that was tried is returned, and why.

    Args:
        network: See ``network.py``; only its outputs are used.
        parents: w, genomes (N, P).
        directions: d (N, P).
        inputs: Experiences (N, I, ...).
        target: Wanted divergence (equation 1).
        tolerance: Accepted relative deviation from it.
        max_passes: Forward passes before giving up.
        chunk_size: Parents in lockstep; by default what fits into caches.

    Raises:
        ValueError: If the outputs of a parent are not finite.
    """
    network = planned(network)
    looped = network.prepare(parents, inputs).plan.batching == "looped"
    lockstep = partial(_in_lockstep, network, target=target, tolerance=tolerance, max_passes=max_passes)
    parts = [
        lockstep(parents[some], directions[some], take(inputs, some), first=some.start)
        for some in parents_at_once(parents, inputs, chunk_size, looped)
    ]
    if len(parts) == 1:
        return parts[0]
    children, magnitude, divergence, status, passes = zip(*parts, strict=True)
    return LineSearch(
        torch.cat(children),
        np.concatenate(magnitude),
        np.concatenate(divergence),
        list(chain.from_iterable(status)),
        max(passes),
    )


def _in_lockstep(
    network: Network,
    parents: Tensor,
    directions: Tensor,
    inputs: Experiences,
    *,
    first: int,
    target: float,
    tolerance: float,
    max_passes: int,
) -> LineSearch:
    with torch.no_grad():
        base = run_rows(network, parents, inputs)
        require_finite(base.outputs, "finite outputs", first)
        norm = torch.linalg.vector_norm
        scale = (norm(parents, dim=1) / norm(directions, dim=1)).tolist()
        # A tenth of the genome's length: mostly still near the quadratic range, and well above rounding.
        brackets = [Bracket(math.log(max(0.1 * length, 1e-3))) for length in scale]
        children, number = parents.clone(), len(parents)
        magnitude, divergence, miss = np.zeros(number), np.zeros(number), np.full(number, np.inf)
        status = [""] * number
        passes = 1
        while "" in status and passes < max_passes:
            active = [n for n in range(number) if not status[n]]
            lanes = slice(None) if len(active) == number else torch.tensor(active, device=parents.device)
            tried = np.exp([brackets[n].guess for n in active])
            factors = torch.from_numpy(tried).to(parents)[:, None]
            candidates = parents[lanes] + factors * directions[lanes]
            rows = run_rows(network, candidates, take(inputs, lanes))
            passes += 1
            reached = rows.divergence_from(base.of(lanes)).cpu().numpy()
            for n, candidate, m, found in zip(active, candidates, tried, reached, strict=True):
                if not math.isfinite(found):
                    found = math.inf
                off = abs(found / target - 1)
                if off < 0.999 * miss[n]:  # a tie goes to the magnitude tried first
                    children[n], magnitude[n], divergence[n], miss[n] = candidate, m, found, off
                excess = math.log(found / target) if found > 0 else -math.inf
                status[n] = "converged" if off <= tolerance else brackets[n].narrow(excess)
    return LineSearch(children, magnitude, divergence, [s or "exhausted" for s in status], passes)


@dataclass
class Bracket:
    """The magnitudes tried for one parent on either side of its target.

    All are logarithms: of the magnitude, and of its divergence over the target ("excess").

    Attributes:
        guess: The magnitude to try next.
    """

    guess: float
    low: float = -math.inf
    low_excess: float = -math.inf
    high: float = math.inf
    high_excess: float = math.inf
    flat: int = 0  # expansions in a row that brought no more divergence
    side: int = 0  # how often in a row the high (positive) or the low end (negative) was replaced

    def narrow(self, excess: float) -> str:
        """Take in the excess at the guess and choose the next guess; returns a status if there is none."""
        slope = self._slope(excess)
        if excess < 0:
            grew = excess > self.low_excess + 0.01
            self.flat = 0 if grew else self.flat + 1
            self.side = min(self.side, 0) - 1
            self.low, self.low_excess = self.guess, excess
        else:
            self.side = max(self.side, 0) + 1
            self.high, self.high_excess = self.guess, excess
        if math.isinf(self.high):
            if self.flat >= FLAT_EXPANSIONS:
                return "saturated"
            self.guess += min(max(-excess / slope, 0.01), MAX_GROWTH)
            return ""
        if math.isinf(self.low):
            self.guess -= min(max(excess / slope, 0.01), 2 * MAX_GROWTH)
            return ""
        if math.isinf(self.high_excess) and self.high - self.low < 1e-2:
            return "saturated"  # beyond are outputs that are not finite
        if self.high - self.low < 1e-6:
            return "jump"
        self.guess = self._inside()
        return ""

    def _slope(self, excess: float) -> float:
        """Slope from the end of the bracket that the guess replaces, or that of the quadratic law."""
        end, end_excess = (self.low, self.low_excess) if excess < 0 else (self.high, self.high_excess)
        if not (math.isfinite(end_excess) and math.isfinite(excess)) or end == self.guess:
            return 2.0
        return min(max((excess - end_excess) / (self.guess - end), 0.25), 4.0)

    def _inside(self) -> float:
        """A magnitude between the ends: false position, halving the excess of an end that stays too long."""
        below, above = self.low_excess, self.high_excess
        if abs(self.side) >= 3 or not (math.isfinite(below) and math.isfinite(above)):
            return (self.low + self.high) / 2
        if self.side >= 2:
            below = below / 2
        elif self.side <= -2:
            above = above / 2
        return self.low + (self.high - self.low) * below / (below - above)
