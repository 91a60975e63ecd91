"""Several episodes by turns, so that one goes on while another waits for its networks."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

Result = TypeVar("Result")


def in_turn(episodes: Iterable[Generator[None, None, Result]]) -> list[Result]:
    """What generators return, in their order, each advanced to its next pause in turn."""
    running = dict(enumerate(episodes))
    results: dict[int, Result] = {}
    while running:
        for number, episode in list(running.items()):
            try:
                next(episode)
            except StopIteration as end:
                results[number] = end.value
                del running[number]
    return [results[number] for number in sorted(results)]
