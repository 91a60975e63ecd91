"""A result in several files: its first replicates in NAME.json, further ones in NAME.10-19.json and so on.

So a long search can be computed piece by piece, on several machines, and more replicates can be added later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolution.atomic_file import read_json
from evolution.record import refuse_other

# Of a record: what parts of one result may differ in. All but the first two change the rounding, or draw
# other random numbers from the same distributions, and replicates know nothing of each other.
OF_PARTS = ("first", "runs", "group", "guess", "device", "versions")


def part_file(result: Path, first: int, runs: int) -> Path:
    """Where so many replicates from number ``first`` on go."""
    return result.with_stem(f"{result.stem}.{numbers(first, runs)}") if first else result


def numbers(first: int, runs: int) -> str:
    """Of replicates, as on a command line: "10-19", or "20" for the first twenty."""
    return f"{first}-{first + runs - 1}" if first else str(runs)


def parts(result: Path) -> list[Path]:
    """The files of a result that are there, in the order of their replicates; also those of its champions."""
    pattern = re.compile(re.escape(result.stem) + r"\.(\d+)-\d+")
    matches = [(pattern.fullmatch(file.stem), file) for file in result.parent.glob(f"*{result.suffix}")]
    further = sorted((int(match[1]), file) for match, file in matches if match)
    return [result] * result.exists() + [file for _, file in further]


def runs_of(files: Sequence[Path]) -> list[dict[str, Any]]:
    """What became of each replicate, from all parts of a result.

    Raises:
        ValueError: If a file is damaged or has something else in it, a replicate is in two parts, or they
            belong to different experiments. They may have been computed in groups of other sizes, on other
            machines and devices, with other versions.
    """
    contents = [_read(file) for file in files]
    records = [content.get("record", {}) for content in contents]
    same = {name: records[0].get(name) for name in OF_PARTS}
    where: dict[int, Path] = {}
    for file, content, record in zip(files, contents, records, strict=True):
        refuse_other(file, record | same, records[0] | same)
        first = record.get("first", 0)
        for number in range(first, first + len(content["runs"])):
            if (other := where.setdefault(number, file)) != file:
                raise ValueError(
                    f"expected each replicate once, got number {number} in {other} and in {file}"
                )
    return [run for content in contents for run in content["runs"]]


def _read(part: Path) -> dict[str, Any]:
    content = read_json(part)
    runs = content.get("runs")
    if isinstance(runs, list) and all(isinstance(run, dict) and "solved_at" in run for run in runs):
        return content
    raise ValueError(f"expected replicates, each with when it was solved, in {part}, got something else")
