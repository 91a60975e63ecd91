"""Telling experiences that parents share from one set for each, where a caller forgot to say so."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves, take
from safe_mutation.network import FAILURES, Network


def refuse_forgotten_per_parent(
    network: Network, params: Tensor, inputs: Experiences | ExperienceSets
) -> None:
    """Refuse experiences (N, I, ...), said to be N shared ones, that can only be meant as one set per parent.

    They are where the network fails on a shared experience (I, ...) but not on I of them, and where it
    takes it for a sequence and computes each step as if it were alone.

    Args:
        network: See ``network.py``.
        params: Genomes (N, P).
        inputs: What all parents share: (I, ...), or the one set of ExperienceSets.

    Raises:
        ValueError: If they are; it names ``per_parent``.
    """
    if len(params) < 2:
        return
    if isinstance(inputs, ExperienceSets):
        number = len(inputs.sets[0])
        stack = max(inputs.stacks, key=lambda one: leaves(one)[0].shape[1:].numel())
        given = f"a list of {number}"
    else:
        number, stack = count(inputs), inputs
        given = ", ".join(str(tuple(leaf.shape)) for leaf in leaves(inputs))
    if number != len(params) or any(leaf.ndim < 2 for leaf in leaves(stack)):
        return
    one, first = slice(1), map_leaves(torch.clone, take(stack, (None, slice(1))))
    with torch.no_grad():
        try:
            outputs = network(params[one], first)
        except FAILURES:
            suspicious = _can_take(network, params[one], map_leaves(torch.clone, take(stack, one)))
        else:
            suspicious = _computes_steps_alone(network, params[one], first, outputs)
    if suspicious:
        raise ValueError(
            f"expected experiences of shape (I, ...) that all parents share, got {given}, as many as there "
            "are parents: pass per_parent=True if each has a set of its own (or join the sets, if parents "
            "share them)"
        )


def _can_take(network: Network, params: Tensor, inputs: Experiences) -> bool:
    try:
        outputs = network(params, inputs)
    except FAILURES:
        return False
    return isinstance(outputs, Tensor) and outputs.shape[:2] == leaves(inputs)[0].shape[:2]


def _computes_steps_alone(network: Network, params: Tensor, sequence: Experiences, outputs: Any) -> bool:
    """Whether the last output for a sequence (1, 1, T, ...) follows the last step, and no other."""
    steps = {leaf.shape[2] for leaf in leaves(sequence)}
    if not isinstance(outputs, Tensor) or outputs.ndim != 4 or steps != {outputs.shape[2]}:
        return False
    others_like_last = map_leaves(lambda leaf: leaf[:, :, -1:].expand_as(leaf).contiguous(), sequence)
    if _equal(sequence, others_like_last):
        return False  # nothing can be seen
    last_step = _step(sequence, -1)
    other = next(t for t in range(outputs.shape[2]) if not _equal(_step(sequence, t), last_step))
    last_like_other = map_leaves(
        lambda leaf: torch.cat([leaf[:, :, :-1], leaf[:, :, other : other + 1]], 2), sequence
    )
    last = outputs[:, :, -1]
    # Equal shapes are computed in the same order, so that what does not depend on a number keeps its bits.
    ignores_others = torch.equal(network(params, others_like_last)[:, :, -1], last)
    return ignores_others and not torch.equal(network(params, last_like_other)[:, :, -1], last)


def _step(sequence: Experiences, step: int) -> Experiences:
    return map_leaves(lambda leaf: leaf[:, :, step], sequence)


def _equal(one: Experiences, other: Experiences) -> bool:
    return all(torch.equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))
