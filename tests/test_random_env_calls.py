"""A few random calls; ``python tests/random_env_calls.py 100000`` makes many, and says what came of them."""

import pytest

from random_env_calls import Life


@pytest.mark.parametrize("number", range(60))
def test_life(number: int) -> None:
    Life(number).live()
