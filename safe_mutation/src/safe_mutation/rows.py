"""Outputs of a network as rows, and how often each row counts in sums and means."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from safe_mutation.experience_sets import Rectangle


class Rows(NamedTuple):
    """Outputs of N parents, one row for each experience (or for each time step of each).

    Attributes:
        outputs: (N, R, K). A parent's own rows come first, in an order that depends on no other parent.
        weights: How often each row counts (N, R), 0 behind a parent's own rows; None if each counts once.
    """

    outputs: Tensor
    weights: Tensor | None

    def total(self, power: int = 1) -> Tensor:
        """Outputs added over the rows (N, K).

        With a power p, a row that counts w times counts w^(1/p) times, so that the p-th power of its gradient
        counts w times.
        """
        if self.weights is None:
            return self.outputs.sum(1)
        weights = self.weights.to(self.outputs.dtype) ** (1 / power)
        return torch.einsum("nr,nrk->nk", weights, self.outputs)

    def number(self) -> int | Tensor:
        """How many rows a parent has: R, or (N, 1) where they have different numbers of them."""
        if self.weights is None:
            return self.outputs.shape[1]
        return self.weights.sum(1, keepdim=True).to(self.outputs.dtype)

    def mean_weights(self) -> float | Tensor:
        """What a row counts in a mean over rows: 1/R, or (N, R, 1)."""
        if self.weights is None:
            return 1 / self.outputs.shape[1]
        weights = self.weights.to(self.outputs.dtype)
        return (weights / weights.sum(1, keepdim=True))[:, :, None]

    def divergence_from(self, others: Rows) -> Tensor:
        """Equation 1: the mean over rows of the squared distance between outputs (N,), float64."""
        ours, theirs = self.outputs, others.outputs
        if ours.shape != theirs.shape:
            rows = min(ours.shape[1], theirs.shape[1])  # behind them nobody has any of his own
            ours, theirs = ours[:, :rows], theirs[:, :rows]
        squares = (ours - theirs).double().square_().sum(2)
        if self.weights is None:
            return squares.mean(1)
        weights = self.weights[:, : squares.shape[1]].double()
        return (weights * squares).sum(1) / weights.sum(1)

    def of(self, parents: slice | Tensor) -> Rows:
        """The rows of some parents."""
        return Rows(self.outputs[parents], None if self.weights is None else self.weights[parents])


def join(parts: list[tuple[Rectangle, Tensor]], parents: int) -> Rows:
    """The outputs for several rectangles, each parent's rows one after the other without gaps."""
    weighted = [(part.lanes, outputs, _row_weights(part, outputs)) for part, outputs in parts]
    if len(weighted) == 1 and weighted[0][0] is None:
        return Rows(weighted[0][1], weighted[0][2])
    first = weighted[0][1]
    ends = torch.zeros(parents, dtype=torch.long, device=first.device)
    places = []
    for lanes, outputs, weights in weighted:
        rows = outputs.shape[1]
        lanes = torch.arange(parents, device=first.device) if lanes is None else lanes
        own = torch.ones(outputs.shape[:2], dtype=torch.bool, device=first.device)
        own = own if weights is None else weights > 0
        place = (ends[lanes][:, None] + torch.arange(rows, device=first.device))[own]
        ends[lanes] += own.sum(1)
        places.append((lanes[:, None].expand_as(own)[own], place, own))
    height = int(ends.max())
    joined = first.new_zeros(parents, height, first.shape[2])
    counts = torch.zeros(parents, height, dtype=torch.long, device=first.device)
    for (_, outputs, weights), (lanes, place, own) in zip(weighted, places, strict=True):
        joined = joined.index_put((lanes, place), outputs[own])
        counts[lanes, place] = 1 if weights is None else weights[own]
    return Rows(joined, None if (counts == 1).all() else counts)


def _row_weights(part: Rectangle, outputs: Tensor) -> Tensor | None:
    if part.weights is None:
        return None
    return part.weights.repeat_interleave(outputs.shape[1] // part.weights.shape[1], 1)
