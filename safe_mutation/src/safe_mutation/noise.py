"""Random numbers for mutations, drawn from whatever generator the caller has.

An int or a numpy generator draws on the CPU, so that a mutation comes out the same on every
device; a ``torch.Generator`` draws on its own device, for populations that live on a GPU. No
global random state is ever read or advanced.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Source: TypeAlias = "np.random.Generator | torch.Generator"
Generator: TypeAlias = (
    "int | np.random.Generator | np.random.RandomState | random.Random | torch.Generator | None"
)


def read_generator(generator: Generator | Sequence[Generator], parents: int) -> Source | list[Source]:
    """Turn the caller's generator, or one generator per parent, into random sources.

    Args:
        generator: A seed, a generator, or None for fresh entropy; or a sequence with one for each parent.
        parents: Number of parents N.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a sequence has another length than N, or a seed is negative.
    """
    if isinstance(generator, (list, tuple, np.ndarray)):
        if len(generator) != parents:
            raise ValueError(f"expected one generator per parent ({parents}), got {len(generator)}")
        return [_read_one(one) for one in list(generator)]
    return _read_one(generator)  # type: ignore[arg-type]  # anything else is refused there


def _read_one(generator: Generator) -> Source:
    if isinstance(generator, (np.random.Generator, torch.Generator)):
        return generator
    if generator is None:
        return np.random.Generator(np.random.Philox())
    if isinstance(generator, (int, np.integer)) and not isinstance(generator, bool):
        if generator < 0:
            raise ValueError(f"expected a seed that is not negative, got {generator}")
        return np.random.Generator(np.random.Philox(int(generator)))
    if isinstance(generator, np.random.RandomState):
        return np.random.Generator(np.random.Philox(generator.randint(2**32, size=4, dtype=np.uint32)))
    if isinstance(generator, random.Random):
        return np.random.Generator(np.random.Philox(generator.getrandbits(128)))
    raise TypeError(
        "expected generator to be an int, a numpy Generator or RandomState, a random.Random, "
        f"a torch.Generator or None, got {type(generator).__name__}"
    )


def standard_normal(sources: Source | list[Source], like: Tensor) -> Tensor:
    """Independent normal numbers of mean 0 and deviation 1 for genomes (N, P), as float32 or float64.

    With a list of sources, row n comes from source n alone.
    """
    if isinstance(sources, torch.Generator):
        drawn = torch.randn(like.shape, generator=sources, device=sources.device, dtype=like.dtype)
        return drawn.to(like.device)
    if isinstance(sources, list) and any(isinstance(source, torch.Generator) for source in sources):
        rows = [standard_normal(source, row) for source, row in zip(sources, like, strict=True)]
        return torch.stack(rows)
    dtype = np.float64 if like.dtype == torch.float64 else np.float32
    numbers = np.empty(tuple(like.shape), dtype=dtype)
    if isinstance(sources, list):
        for source, row in zip(sources, numbers, strict=True):
            assert isinstance(source, np.random.Generator)  # for mypy; checked above
            source.standard_normal(out=row, dtype=dtype)
    else:
        sources.standard_normal(out=numbers, dtype=dtype)
    return torch.from_numpy(numbers).to(like.device)


def choose(source: Source, total: int, number: int) -> Tensor:
    """Draw ``number`` of ``total`` indices without replacement."""
    if isinstance(source, torch.Generator):
        return torch.randperm(total, generator=source, device=source.device)[:number]
    return torch.from_numpy(source.choice(total, size=number, replace=False))
