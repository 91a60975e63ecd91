"""What holds for every test."""

import numpy as np
import pytest

FIRST_STATES: dict[int, dict] = {}  # of the generators that the files of tests share, as they were imported


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture(autouse=True)
def same_draws_in_any_order(request):
    """Every test begins with the draws it would have alone, whatever ran before it in its process."""
    for shared in vars(request.module).values():
        if isinstance(shared, np.random.Generator):
            state = FIRST_STATES.setdefault(id(shared), shared.bit_generator.state)
            shared.bit_generator.state = state
