"""Random numbers addressed by what they are for, so that no generator state has to be kept.

Whatever happens to child ``index`` of a run is drawn from its own Philox stream. A run that is
killed and resumed, or computed beside nineteen others, therefore meets exactly the same numbers.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from enum import IntEnum

import numpy as np

from safe_mutation.noise import philox

SEEDS = 2**63  # seeds are below


class Purpose(IntEnum):
    """What a stream of random numbers is used for."""

    GENESIS = 0
    SELECTION = 1
    MUTATION = 2
    EXPERIENCES = 3
    ROBUSTNESS = 4
    ADAPTATION = 5
    SENSITIVITY = 6


def stream(seed: int, run: int, index: int, purpose: Purpose) -> np.random.Generator:
    """The generator of evaluation ``index`` of a run, for one purpose."""
    return philox([seed, run], [0, 0, index, purpose])


def seed_argument(text: str) -> int:
    """A seed given on a command line.

    Raises:
        ArgumentTypeError: If it is none.
    """
    with suppress(ValueError):
        if 0 <= (seed := int(text)) < SEEDS:
            return seed
    raise argparse.ArgumentTypeError(f"expected a seed from 0 to 2**63 - 1, got {text}")
