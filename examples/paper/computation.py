"""A job that computes all of a figure's numbers in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch

from evolution.atomic_file import write_json
from evolution.record import MACHINE, is_finished, machine, versions


@dataclass(frozen=True)
class Computation:
    """Computes, and leaves a JSON file of the numbers, what they depend on and the command that repeats it.

    Attributes:
        result: The file.
        seed: Of everything random.
        command: Command line that repeats it.
    """

    indent: ClassVar[int | None] = None
    """Of the file."""

    result: Path
    seed: int
    command: str = field(default="", kw_only=True)

    def __call__(self) -> None:
        """Compute, unless that has been done.

        Raises:
            ValueError: If the file holds the result of other settings.
        """
        record = self.record()
        if is_finished(self.result, record):
            return
        torch.set_num_threads(1)
        content = {"command": self.command, "record": record, **self.compute()}
        write_json(self.result, content, indent=self.indent)

    def record(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {**self.settings(), "versions": versions(), MACHINE: machine()}

    def settings(self) -> Mapping[str, Any]:
        """What decides the outcome but for versions and machine."""
        raise NotImplementedError

    def compute(self) -> Mapping[str, Any]:
        """The numbers."""
        raise NotImplementedError
