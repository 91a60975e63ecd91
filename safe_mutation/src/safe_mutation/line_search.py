"""Scale a step until a network's behaviour has changed by a wanted amount (paper, section 3.1).

For small magnitudes the divergence grows with the square of the magnitude, so the search works on
logarithms, where that law is a line of slope 2: extrapolate along it until the target is bracketed,
then close the bracket by false position (Illinois) with a bisection every third step. Several
parents are searched in lockstep; one that is finished takes no part in further passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from safe_mutation.batched_network import planned
from safe_mutation.chunks import parents_at_once
from safe_mutation.experiences import Experiences, take
from safe_mutation.genomes import require_finite
from safe_mutation.network import Network, run_rows
from safe_mutation.out_of_memory import naming_chunk_size
from safe_mutation.rows import Rows

MAX_GROWTH = math.log(8.0)  # largest step of ln(magnitude) while the target is not yet bracketed
FLAT_EXPANSIONS = 6  # so many of them in a row without growth: the outputs are saturated
JUMP = 0.01  # of the tolerance: across so narrow a bracket even steep outputs change by less than it


Lanes: TypeAlias = "slice | Tensor"
Step: TypeAlias = Callable[[Tensor, Lanes], Tensor]


class LineSearch(NamedTuple):
    """What a search found, for N parents.

    Attributes:
        children: Parents plus their steps (N, P).
        magnitude: How far along the step (N,), float64.
        divergence: Divergence reached by the children (N,), float64.
        status: For each "converged", "saturated" (no magnitude changes the outputs enough), "jump" (the
            divergence steps over the target, if the magnitude grows by a hundredth of the tolerance),
            "shortest" (the least magnitude goes beyond the target already) or "exhausted" (out of passes).
        passes: Forward passes that each search took (N,), the parent's own included.
    """

    children: Tensor
    magnitude: np.ndarray
    divergence: np.ndarray
    status: list[str]
    passes: np.ndarray


def along(directions: Tensor, weight_clip: float | None = None) -> Step:
    """Steps (N, P) in these directions, those of single weights limited to the clip."""

    def step(magnitudes: Tensor, lanes: Lanes) -> Tensor:
        steps = magnitudes * directions[lanes]
        return steps if weight_clip is None else steps.clamp_(-weight_clip, weight_clip)

    return step


def cautious(parents: Tensor, directions: Tensor) -> np.ndarray:
    """First guesses (N,) where nothing is known of the network.

    They are a tenth of the genome's length: mostly still near the quadratic range, and well above rounding.
    """
    norm = torch.linalg.vector_norm
    lengths: np.ndarray = (norm(parents, dim=1) / norm(directions, dim=1)).double().cpu().numpy()
    return np.maximum(0.1 * lengths, 1e-3)


@naming_chunk_size()
def search(
    network: Network,
    parents: Tensor,
    step: Step,
    inputs: Experiences,
    targets: np.ndarray,
    guesses: np.ndarray,
    *,
    rounded_to: torch.dtype | None = None,
    tolerance: float = 0.01,
    max_passes: int = 40,
    chunk_size: int | None = None,
    outputs: Sequence[Rows] = (),
    least: np.ndarray | None = None,
) -> LineSearch:
    """Find m > 0 for which divergence(w, w + step(m)) is the target, to a relative tolerance.

    Where there is none, the closest child that was tried is returned, and why.

    Args:
        network: See ``network.py``; only its outputs are used.
        parents: w, genomes (N, P).
        step: ``step(m (n, 1), lanes) -> (n, P)`` for the n parents of ``lanes``; its length grows with m.
        inputs: Experiences (N, I, ...).
        targets: Wanted divergences (equation 1) (N,).
        guesses: The magnitudes to begin with (N,).
        rounded_to: The precision in which children will be kept, so that it is those that are searched for.
        tolerance: Accepted relative deviation from the target.
        max_passes: Forward passes before giving up.
        chunk_size: Parents in lockstep; by default what fits into caches.
        outputs: Those of the parents in each lockstep, where they are known.
        least: The smallest magnitudes (N,) that are tried; None for any.

    Raises:
        ValueError: If the outputs of a parent are not finite.
    """
    network = planned(network)
    looped = network.prepare(parents, inputs).plan.batching == "looped"
    number = len(parents)
    searches = _Searches(network, parents, step, inputs, targets, rounded_to, tolerance, max_passes)
    narrowest = max(JUMP * tolerance, 1e-6)
    lows = np.zeros(number) if least is None else least
    guesses = np.maximum(guesses, lows)
    searches.brackets = [
        Bracket(math.log(guess), narrowest, math.log(low) if low > 0 else -math.inf)
        for guess, low in zip(guesses.tolist(), lows.tolist(), strict=True)
    ]
    searches.result = LineSearch(
        parents.clone(), np.zeros(number), np.zeros(number), ["exhausted"] * number, np.zeros(number, int)
    )
    with torch.no_grad():
        # Parents whose outputs came together stay so: the network may by now be computed in another way.
        groups = [*accumulate((len(known.outputs) for known in outputs), initial=0)]
        together = (
            map(slice, groups, groups[1:])
            if outputs
            else parents_at_once(parents, inputs, chunk_size, looped)
        )
        for some, known in zip_longest(together, outputs):
            searches.in_lockstep(np.arange(number)[some], known)
    return searches.result


@dataclass
class _Searches:
    """The searches of all parents, and what they have found so far."""

    network: Network
    parents: Tensor
    step: Step
    inputs: Experiences
    targets: np.ndarray
    rounded_to: torch.dtype | None
    tolerance: float
    max_passes: int
    brackets: list[Bracket] = field(init=False)
    result: LineSearch = field(init=False)

    def in_lockstep(self, numbers: np.ndarray, base: Rows | None) -> None:
        """Search for some parents, given by their numbers, and maybe their outputs."""
        chosen = slice(numbers[0], numbers[-1] + 1)
        base = base or run_rows(self.network, self.parents[chosen], take(self.inputs, chosen))
        require_finite(base.outputs, "finite outputs", chosen.start)
        miss = np.full(len(self.parents), np.inf)
        self.result.passes[numbers] = 1
        active = numbers
        while len(active) and self.result.passes[active[0]] < self.max_passes:
            lanes: Lanes = chosen if len(active) == len(numbers) else self._index(active)
            tried = np.exp([self.brackets[n].guess for n in active])
            magnitudes = torch.from_numpy(tried).to(self.parents)[:, None]
            candidates = self.step(magnitudes, lanes).add_(self.parents[lanes])
            candidates = candidates.to(self.rounded_to).to(self.parents)
            rows = run_rows(self.network, candidates, take(self.inputs, lanes))
            own = base if lanes is chosen else base.of(self._index(active - chosen.start))
            reached = rows.divergence_from(own).cpu().numpy()
            reached = np.where(np.isfinite(reached), reached, np.inf)
            self.result.passes[active] += 1
            off = abs(reached / self.targets[active] - 1)
            better = off < 0.999 * miss[active]  # a tie goes to the magnitude tried first
            shortest = np.array([self.brackets[n].at_least for n in active])
            better |= shortest & (self.targets[active] <= reached) & np.isfinite(reached)
            miss[active[better]] = off[better]
            if better.all():
                self.result.children[lanes] = candidates
                self.result.magnitude[active], self.result.divergence[active] = tried, reached
            elif better.any():
                self._keep(active, better, candidates, tried, reached)
            active = active[[self._goes_on(*one) for one in zip(active, reached, off, strict=True)]]

    def _keep(
        self,
        active: np.ndarray,
        better: np.ndarray,
        candidates: Tensor,
        tried: np.ndarray,
        reached: np.ndarray,
    ) -> None:
        """Take the candidates that came closer to their targets than those before."""
        improved = active[better]
        self.result.children[self._index(improved)] = candidates[self._index(np.flatnonzero(better))]
        self.result.magnitude[improved] = tried[better]
        self.result.divergence[improved] = reached[better]

    def _goes_on(self, n: int, reached: float, off: float) -> bool:
        """Whether parent n needs another pass."""
        excess = math.log(reached / self.targets[n]) if reached > 0 else -math.inf
        status = "converged" if off <= self.tolerance else self.brackets[n].narrow(excess)
        self.result.status[n] = status or "exhausted"
        return not status

    def _index(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.parents.device)


@dataclass
class Bracket:
    """The magnitudes tried for one parent on either side of its target.

    All are logarithms: of the magnitude, and of its divergence over the target ("excess").

    Attributes:
        guess: The magnitude to try next.
        narrowest: Width below which the divergence jumps over the target.
        least: Nothing smaller is tried, unless outputs are not finite there.
    """

    guess: float
    narrowest: float
    least: float = -math.inf
    low: float = -math.inf
    low_excess: float = -math.inf
    high: float = math.inf
    high_excess: float = math.inf
    flat: int = 0  # expansions in a row that brought no more divergence
    side: int = 0  # how often in a row the high (positive) or the low end (negative) was replaced

    @property
    def at_least(self) -> bool:
        """Whether the guess is the smallest that is tried."""
        return self.guess <= self.least

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
            if self.at_least:
                if math.isfinite(excess):
                    return "shortest"
                self.least = -math.inf
            self.guess = max(self.guess - min(max(excess / slope, 0.01), 2 * MAX_GROWTH), self.least)
            return ""
        if math.isinf(self.high_excess) and self.high - self.low < 1e-2:
            return "saturated"  # beyond are outputs that are not finite
        if self.high - self.low < self.narrowest:
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
