"""Random numbers for mutations, drawn from whatever generator the caller has.

A call draws one key from each generator. The key starts independent streams: one for the
perturbation, one for the choice of experiences, one for the line search and one for the probes of
a sensitivity. So an option that needs more of one changes nothing in the others, and a call that
is told a sensitivity gives the children of the call that computes it.

All but generators on a GPU draw with numpy's Philox on the CPU, so that a mutation comes out the same
on every machine and device. No global random state is ever read or advanced.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor

Source: TypeAlias = "np.random.Generator | torch.Generator"
Generator: TypeAlias = (
    "int | np.random.Generator | np.random.SeedSequence | np.random.RandomState | random.Random "
    "| torch.Generator | None"
)


def philox(key: Sequence[int], counter: Sequence[int]) -> np.random.Generator:
    """The ``Generator(Philox(key=key, counter=counter))`` of numpy, made several times as fast.

    Args:
        key: Two integers of 64 bits.
        counter: Four of them, the lowest first.
    """
    seed: Any = _Given(key)  # numpy takes any ISeedSequence; its stubs name SeedSequence alone
    return np.random.Generator(np.random.Philox(seed, counter=np.array(counter, np.uint64)))


class _Given(ISeedSequence):
    """Seeds a Philox with its very key; told it as such, numpy asks the operating system for a seed first."""

    def __init__(self, key: Sequence[int]) -> None:
        self._key = np.asarray(key, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        return self._key


class Key(NamedTuple):
    """What the streams of one call start from, for one parent or a whole batch."""

    words: Any  # integers of 64 bits: two for Philox, or a seed for each stream
    device: torch.device | None = None  # of a generator on a GPU, whose streams draw there

    def stream(self, number: int) -> Source:
        """One of four independent streams, from its beginning."""
        if self.device is not None:
            return torch.Generator(self.device).manual_seed(self.words[number])
        # Streams of one key are 2**192 draws apart.
        return philox(self.words, [0, 0, 0, number])


class Streams:
    """The random numbers of one call; each property starts a stream anew.

    With one generator for each parent, each property is a list of streams.
    """

    def __init__(self, keys: Key | list[Key]) -> None:
        self._keys = keys

    @property
    def noise(self) -> Source | list[Source]:
        """For the perturbation."""
        return self._start(0)

    @property
    def experiences(self) -> Source | list[Source]:
        """For the choice among more experiences than are used."""
        return self._start(1)

    @property
    def search(self) -> Source | list[Source]:
        """For the divergence that a line search aims at."""
        return self._start(2)

    @property
    def probes(self) -> Source | list[Source]:
        """For the random signs of an estimated sensitivity."""
        return self._start(3)

    def _start(self, number: int) -> Source | list[Source]:
        if isinstance(self._keys, list):
            return [key.stream(number) for key in self._keys]
        return self._keys.stream(number)


def read_generator(generator: Generator | Sequence[Generator], parents: int, peek: bool = False) -> Streams:
    """Draw the key of a call from the caller's generator, or one from each parent's generator.

    Args:
        generator: A seed, a generator, or None for fresh entropy; or a sequence with one for each parent.
        parents: Number of parents N.
        peek: Leave generators as they were, so that the next call has the same streams.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a sequence has another length than N, or a seed is negative.
    """
    owners: list[Any]
    if each := isinstance(generator, (list, tuple, range, np.ndarray)):
        owners = list(generator)
        if len(owners) != parents:
            raise ValueError(f"expected one generator per parent ({parents}), got {len(owners)}")
    else:
        owners = [generator]
    restore = [_restorer(owner) for owner in owners] if peek else []
    keys = [_draw_key(owner) for owner in owners]
    for put_back in restore:
        put_back()
    return Streams(keys if each else keys[0])


def read_owned(generator: Generator | Callable[[], Generator]) -> Generator | Callable[[], Generator]:
    """An operator's own generator: a seed becomes a generator that moves on with each call.

    Raises:
        TypeError: If it is no seed, generator or function.
        ValueError: If a seed is negative.
    """
    if isinstance(generator, (int, np.integer)) and not isinstance(generator, bool) and generator >= 0:
        return np.random.Generator(np.random.Philox(int(generator)))
    if isinstance(generator, np.random.SeedSequence):
        return np.random.Generator(np.random.Philox(generator))
    if not callable(generator):
        put_back = _restorer(generator)
        _draw_key(generator)  # refuses what cannot draw
        put_back()
    return generator


def _draw_key(generator: Generator) -> Key:
    if isinstance(generator, np.random.Generator):
        return Key(generator.bit_generator.random_raw(2))
    if generator is None or (isinstance(generator, (int, np.integer)) and not isinstance(generator, bool)):
        if generator is not None and generator < 0:
            raise ValueError(f"expected a seed that is not negative, got {generator}")
        seed = None if generator is None else int(generator)
        generator = np.random.SeedSequence(seed)  # which gives the key of Philox(seed)
    if isinstance(generator, np.random.SeedSequence):
        return Key(generator.generate_state(2, np.uint64))
    if isinstance(generator, torch.Generator):
        device = generator.device
        words = torch.randint(2**63 - 1, (4,), generator=generator, device=device).tolist()
        return Key(words[:2]) if device.type == "cpu" else Key(words, device)
    if isinstance(generator, np.random.RandomState):
        return Key(np.frombuffer(generator.bytes(16), "<u8"))
    if isinstance(generator, random.Random):
        return Key([generator.getrandbits(64), generator.getrandbits(64)])
    got = type(generator).__name__
    if type(generator).__module__.startswith("jax"):
        got = "a JAX PRNG key: pass an int seed, such as int(jax.random.bits(key)), or a numpy Generator"
    raise TypeError(
        "expected generator to be an int, a numpy Generator, SeedSequence or RandomState, a random.Random, "
        f"a torch.Generator or None, got {got}"
    )


def _restorer(generator: Generator) -> Callable[[], object]:
    """A function that puts a generator back into the state it is in now."""
    if isinstance(generator, np.random.Generator):
        bits, state = generator.bit_generator, generator.bit_generator.state
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, torch.Generator):
        tensor = generator.get_state()
        return lambda: generator.set_state(tensor)
    if isinstance(generator, np.random.RandomState):
        legacy = generator.get_state(legacy=False)
        return lambda: generator.set_state(legacy)
    if isinstance(generator, random.Random) and not isinstance(generator, random.SystemRandom):
        internal = generator.getstate()
        return lambda: generator.setstate(internal)
    return lambda: None


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


def uniform(sources: Source | list[Source], number: int) -> np.ndarray:
    """Independent uniform numbers in [0, 1), shape (N,); with a list, number n comes from source n alone."""
    if isinstance(sources, list):
        return np.concatenate([uniform(source, 1) for source in sources])
    if isinstance(sources, torch.Generator):
        drawn = torch.rand(number, generator=sources, device=sources.device, dtype=torch.float64)
        return drawn.cpu().numpy()
    return sources.random(number)


class RandomSigns:
    """Random +1 and -1 for the probes of a sensitivity.

    With a source for each parent, a parent's signs come from its own alone. They are drawn row by row, so
    that a parent has the same ones beside others that have more rows.

    Args:
        sources: A random source, or one for each parent.
        probes: How many to draw for each output.
    """

    def __init__(self, sources: Source | list[Source], probes: int) -> None:
        self._sources, self._probes = sources, probes

    def __call__(self, parents: range, rows: int, outputs: int) -> Tensor:
        """Signs (probes, n, rows, outputs) for n parents, given by their numbers."""
        if isinstance(self._sources, list):
            drawn = [self._draw(self._sources[n], rows, outputs) for n in parents]
        else:
            drawn = [self._draw(self._sources, rows, outputs) for _ in parents]
        return torch.stack(drawn, 2).permute(1, 2, 0, 3)

    def _draw(self, source: Source, rows: int, outputs: int) -> Tensor:
        shape = (rows, self._probes, outputs)
        if isinstance(source, torch.Generator):
            bits = torch.randint(2, shape, generator=source, device=source.device)
        else:
            bits = torch.from_numpy(source.integers(2, size=shape, dtype=np.int8))
        return bits.float() * 2 - 1
