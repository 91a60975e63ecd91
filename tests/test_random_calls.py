"""A few random calls; ``python tests/random_calls.py 10000`` makes many, and says what the errors are."""

import pytest

from random_calls import TOLERANCES, check


@pytest.mark.parametrize("seed", range(150))
@pytest.mark.filterwarnings("ignore:torch can differentiate this network neither")
def test_call(seed: int) -> None:
    for name, error in check(seed):
        assert error <= TOLERANCES.get(name.split(", ")[-1], 0.0), name
