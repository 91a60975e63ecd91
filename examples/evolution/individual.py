"""What evolution keeps of an evaluated genome, and how individuals become plain arrays and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evolution.atomic_file import Joined
from evolution.device import on_host

State = dict[str, Any]  # arrays by name, or what stands for one (``Joined``), as a checkpoint stores them
Experiences = np.ndarray | dict[str, np.ndarray]


@dataclass
class Individual:
    """An evaluated genome.

    Attributes:
        genome: Weights (P,), float32; a tensor where the search runs on a device.
        fitness: Higher is better.
        solved: Whether its evaluation solved the task.
        experiences: Inputs (I, ...) the network met while it was evaluated, an array or a dict of arrays;
            their shapes may differ from one individual to the next.
        behavior: What it did, as its domain describes behaviour; None where nobody asked for it.
        sensitivity: Sensitivities (P,) of its weights, once a mutation has needed them; where the genome is.
        born: The evaluation of its run that it came from, counted from 0.
    """

    genome: Any
    fitness: float
    solved: bool
    experiences: Experiences
    behavior: np.ndarray | None = None
    sensitivity: Any = None
    born: int = 0

    def better_than(self, other: Individual | None) -> bool:
        """Whether this is the better champion: a solution before any other, then the fitter one."""
        return other is None or (self.solved, self.fitness) > (other.solved, other.fitness)

    def on_host(self) -> Individual:
        """The same with arrays in place of tensors."""
        return replace(self, genome=on_host(self.genome), sensitivity=on_host(self.sensitivity))


def pack(name: str, individuals: Sequence[Individual]) -> State:
    """Individuals as arrays whose names start with ``name``; nothing is copied yet, but from a device."""
    return {
        f"{name}.fitness": np.array([individual.fitness for individual in individuals], dtype=np.float64),
        f"{name}.solved": np.array([individual.solved for individual in individuals], dtype=bool),
        f"{name}.born": np.array([individual.born for individual in individuals], dtype=np.int64),
        **_pack_ragged(f"{name}.genome", [individual.genome for individual in individuals]),
        **_pack_experiences(f"{name}.experiences", [individual.experiences for individual in individuals]),
        **_pack_ragged(f"{name}.behavior", [individual.behavior for individual in individuals]),
        **_pack_ragged(f"{name}.sensitivity", [individual.sensitivity for individual in individuals]),
    }


def unpack(name: str, state: Mapping[str, np.ndarray]) -> list[Individual]:
    """The individuals that ``pack`` put into a state.

    Raises:
        KeyError: If there are none of that name.
        ValueError: If the arrays do not fit together.
    """
    columns = [
        state[f"{name}.fitness"].tolist(),
        state[f"{name}.solved"].tolist(),
        _unpack_ragged(f"{name}.genome", state),
        _unpack_experiences(f"{name}.experiences", state),
        _unpack_ragged(f"{name}.behavior", state),
        _unpack_ragged(f"{name}.sensitivity", state),
        state[f"{name}.born"].tolist(),
    ]
    return [
        Individual(genome, fitness, solved, experiences, behavior, sensitivity, born)
        for fitness, solved, genome, experiences, behavior, sensitivity, born in zip(*columns, strict=True)
    ]


def _pack_experiences(name: str, experiences: Sequence[Any]) -> State:
    if not experiences or not isinstance(experiences[0], dict):
        return _pack_ragged(name, experiences)
    parts = {key: [one[key] for one in experiences] for key in experiences[0]}
    return {k: v for key, arrays in parts.items() for k, v in _pack_ragged(f"{name}.{key}", arrays).items()}


def _unpack_experiences(name: str, state: Mapping[str, np.ndarray]) -> list[Experiences]:
    if f"{name}.shapes" in state:
        return _unpack_ragged(name, state)
    start, end = f"{name}.", ".shapes"
    keys = [key[len(start) : -len(end)] for key in state if key.startswith(start) and key.endswith(end)]
    columns = [_unpack_ragged(f"{name}.{key}", state) for key in keys]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def part(name: str, state: Mapping[str, np.ndarray]) -> State:
    """The part of a state whose names start with ``name.``, without it."""
    start = f"{name}."
    return {key.removeprefix(start): array for key, array in state.items() if key.startswith(start)}


def _pack_ragged(name: str, given: Sequence[Any]) -> State:
    """Arrays of one dtype and any shapes: all their numbers in a row, and the shapes; -1 stands for None."""
    arrays = [on_host(array) for array in given]
    present = [array for array in arrays if array is not None]
    dimensions = max((array.ndim for array in present), default=0)
    shapes = np.full((len(arrays), 1 + dimensions), -1, dtype=np.int64)
    for row, array in zip(shapes, arrays, strict=True):
        if array is not None:
            row[0] = array.ndim
            row[1 : 1 + array.ndim] = array.shape
    return {f"{name}.shapes": shapes, f"{name}.values": Joined(present)}


def _unpack_ragged(name: str, state: Mapping[str, np.ndarray]) -> list[Any]:
    values, start = np.asarray(state[f"{name}.values"]), 0
    arrays: list[np.ndarray | None] = []
    for dimensions, *shape in state[f"{name}.shapes"].tolist():
        if dimensions < 0:
            arrays.append(None)
            continue
        size = math.prod(shape[:dimensions])
        arrays.append(values[start : start + size].reshape(shape[:dimensions]).copy())
        start += size
    if start != len(values):
        raise ValueError(f"expected {start} numbers in {name}.values, got {len(values)}")
    return arrays
