"""Refusing networks on which nothing could be measured.

They answer the same question differently, answer several together otherwise than each alone, or write into
what they are asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, count, leaves, map_leaves, take

EXPERIENCES = 16  # so many are asked about
CLEARLY = 0.01  # of the largest output: what no rounding explains, even in deep networks
TIMES = 8  # so often where random numbers are drawn: rare changes, of little dropout, show too


def a_few(params: Tensor, inputs: Experiences) -> tuple[Tensor, Experiences]:
    """Copies of the first genome that has experiences (1, P), and of some of these (1, I, ...)."""
    first = 0
    if isinstance(inputs, ExperienceSets):
        rectangle = inputs.rectangles[0]
        first = 0 if rectangle.lanes is None else int(rectangle.lanes[0])
        inputs = rectangle.inputs
    few = slice(min(EXPERIENCES, count(inputs, axis=1)))
    return params[first : first + 1].clone(), map_leaves(torch.clone, take(inputs, (slice(1), few)))


def refuse_writing(genome: Tensor, inputs: Experiences) -> None:
    """Refuse a network that writes into what it is given: it would change the caller's arrays.

    Args:
        genome: A copy that the network has been called with.
        inputs: The same of experiences.

    Raises:
        ValueError: If one has been written to.
    """
    if any(tensor._version > 0 for tensor in (genome, *leaves(inputs))):
        raise ValueError(
            "expected a network that leaves its arguments as they are, got one that writes into them (an "
            "activation with inplace=True before any layer?): give it a copy, for example "
            "FlatNetwork(module, forward=lambda module, x: module(x.clone()))"
        )


@contextmanager
def same_random_numbers(device: torch.device) -> Iterator[None]:
    """Let torch's random numbers, of the processor and of a GPU, go on as if nothing had been asked."""
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    state = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
        if on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu, device)


def refuse_different_answers(answers: Callable[[int], Sequence[Tensor]]) -> None:
    """Ask the same a few times.

    Args:
        answers: Called with a number of times; returns as many outputs for the same genome and experiences.

    Raises:
        ValueError: If they differ by more than rounding.
    """
    state = torch.random.get_rng_state()
    first, *others = answers(2)
    # A GPU's random numbers are not watched: it is asked as often as if there were any.
    if first.is_cuda or not torch.equal(torch.random.get_rng_state(), state):
        others += answers(TIMES)
    if not all(alike(first, other) for other in others):
        raise ValueError(
            "expected outputs that depend on weights and experiences alone, got others when asked again: "
            "does the network sample, drop out, or keep a state from call to call? Take what does not: "
            "FlatNetwork(module, forward=...), where forward(module, x) returns the mean or the logits, or "
            "resets the state first"
        )


def refuse_joint_answers(
    answer: Callable[[Experiences], Tensor], inputs: Experiences, outputs: Tensor
) -> None:
    """Ask about the last of some experiences without the others.

    Args:
        answer: Returns outputs (1, R, K) for experiences (1, I, ...).
        inputs: Some experiences (1, I, ...).
        outputs: What the answer for them was.

    Raises:
        ValueError: If it is clearly another; a little may be rounding, which differs between numbers of rows.
    """
    total = count(inputs, axis=1)
    if total == 1:
        return
    first = total - (1 if total == 2 else 2)
    try:
        alone = answer(take(inputs, (slice(None), slice(first, None))))
    except (TypeError, ValueError):
        return  # a network may insist on some number of experiences
    together = outputs[:, first * outputs.shape[1] // total :]
    largest = outputs.nan_to_num().abs().amax()
    if not torch.allclose(
        alone.to(together), together, rtol=0, atol=CLEARLY * float(largest), equal_nan=True
    ):
        raise ValueError(
            "expected outputs for an experience that depend on no other experience, got others for the last "
            "ones alone: does the network normalise or add up over what it is asked about at once? "
            "FlatNetwork(module, forward=...) takes a forward(module, x) that does not"
        )


def alike(first: Tensor, second: Tensor) -> bool:
    """Whether outputs are equal but for rounding."""
    if first.shape != second.shape:
        return False
    if not first.is_floating_point():
        return torch.equal(first, second)
    rounding = 100 * torch.finfo(first.dtype).eps
    largest = float(first.detach().nan_to_num().abs().amax())
    return torch.allclose(first, second, rtol=rounding, atol=rounding * largest, equal_nan=True)
