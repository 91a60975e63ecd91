"""Checkpoints of a lockstep run: one file, written whole or not at all, checked when it is read.

A checkpoint is a plain ``.npz`` (every array carries a checksum, nothing is pickled). The last two
are kept: should the newest be damaged, the one before it takes over and the run computes the few
steps in between again, with the same result.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evolution.algorithms.steady_state_ga import Individual, SteadyStateGA
from evolution.lockstep import Lockstep

UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zipfile.LargeZipFile)


def write_atomically(path: Path, content: bytes) -> None:
    """Put content into path so that a kill at any moment leaves the old file or the new one."""
    with open(draft := path.with_name(path.name + ".part"), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Put arrays into an uncompressed ``.npz``, as atomically."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())


def save(path: Path, lockstep: Lockstep, settings: Mapping[str, Any]) -> None:
    """Write the state of all replicates, keeping the checkpoint before as ``<name>.previous.npz``."""
    arrays = {
        "settings": np.frombuffer(json.dumps(settings).encode(), dtype=np.uint8),
        "evaluations": np.array([ga.evaluations for ga in lockstep.gas]),
        "solved_at": np.array([solved_at or 0 for solved_at in lockstep.solved_at]),
    }
    for ga in lockstep.gas:
        if ga.champion is not None:
            arrays |= _pack(f"champion{ga.run}", [ga.champion])
    for ga in lockstep.active:  # a finished replicate needs no population any more
        if ga.population:
            arrays |= _pack(f"population{ga.run}", ga.population)
    write_npz(draft := path.with_suffix(".new.npz"), **arrays)
    if path.exists():
        os.replace(path, previous(path))
    os.replace(draft, path)


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest is kept."""
    return path.with_suffix(".previous.npz")


def restore(path: Path, lockstep: Lockstep, settings: Mapping[str, Any]) -> bool:
    """Bring a new lockstep to its last saved state; False when there is none.

    A damaged file is named on standard error and the one before it is used.

    Raises:
        ValueError: If the checkpoint was made with other settings; the message names the difference.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            with np.load(candidate, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except UNREADABLE as error:
            print(f"damaged checkpoint {candidate} ({error}); trying the one before", file=sys.stderr)
            continue
        refuse_other_settings(candidate, json.loads(arrays["settings"].tobytes()), settings)
        _fill(lockstep, arrays)
        return True
    return False


def refuse_other_settings(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise ValueError, naming each difference, unless two sets of settings are the same."""
    different = [
        f"{name}: {found.get(name)!r} there, {expected.get(name)!r} now"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]
    if different:
        raise ValueError(f"{path} comes from other settings ({'; '.join(different)}); use another folder")


def is_finished(result: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a result file of these settings is there; the versions it was made with may be others.

    Raises:
        ValueError: If it was made with other settings; the message names the difference.
    """
    if not result.exists():
        return False
    found = json.loads(result.read_text())["settings"]
    refuse_other_settings(result, _without_versions(found), _without_versions(settings))
    return True


def _without_versions(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "versions"}


def _pack(name: str, individuals: list[Individual]) -> dict[str, np.ndarray]:
    known = [individual.sensitivity is not None for individual in individuals]
    sensitivities = [
        individual.sensitivity for individual in individuals if individual.sensitivity is not None
    ]
    return {
        f"{name}.genome": np.stack([individual.genome for individual in individuals]),
        f"{name}.fitness": np.array([individual.fitness for individual in individuals]),
        f"{name}.solved": np.array([individual.solved for individual in individuals]),
        f"{name}.experiences": np.stack([individual.experiences for individual in individuals]),
        f"{name}.sensitivity_known": np.array(known),
        f"{name}.sensitivity": np.stack(sensitivities) if sensitivities else np.zeros(0),
    }


def _unpack(name: str, arrays: Mapping[str, np.ndarray]) -> list[Individual]:
    sensitivities = iter(arrays[f"{name}.sensitivity"])
    columns = [arrays[f"{name}.{part}"] for part in ("genome", "fitness", "solved", "experiences")]
    return [
        Individual(
            genome.copy(),
            float(fitness),
            bool(solved),
            experiences.copy(),
            next(sensitivities) if known else None,
        )
        for genome, fitness, solved, experiences, known in zip(
            *columns, arrays[f"{name}.sensitivity_known"], strict=True
        )
    ]


def _fill(lockstep: Lockstep, arrays: Mapping[str, np.ndarray]) -> None:
    lockstep.solved_at = [int(at) or None for at in arrays["solved_at"]]
    for ga, evaluations in zip(lockstep.gas, arrays["evaluations"], strict=True):
        _fill_ga(ga, int(evaluations), arrays)


def _fill_ga(ga: SteadyStateGA, evaluations: int, arrays: Mapping[str, np.ndarray]) -> None:
    ga.evaluations = evaluations
    if f"champion{ga.run}.genome" in arrays:
        [ga.champion] = _unpack(f"champion{ga.run}", arrays)
    if f"population{ga.run}.genome" in arrays:
        ga.population = _unpack(f"population{ga.run}", arrays)
