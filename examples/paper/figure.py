"""What a figure or table of the paper is to ``reproduce.py`` and to the page of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from evolution.experiment import Experiment
from evolution.parts import numbers, part_file
from evolution.result import Search
from paper.statistics import Claim

Job = Callable[[], None]
"""Work that leaves one result file unless it is there; picklable, and goes on where it was cut short.

It raises ValueError if the result of another experiment is in the way.
"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        seed: Of the experiments.
        methods: The paper's names of the operators to run.
        results: Folder of all results.
        work: Folder of the checkpoints.
        runs: Replicates of each method; None for the paper's number.
        max_evaluations: Budget of a run; None for the paper's.
        first: Number of the first replicate: those from 10 on go beside the ten before.
    """

    seed: int
    methods: tuple[str, ...]
    results: Path
    work: Path
    runs: int | None = None
    max_evaluations: int | None = None
    first: int = 0

    def command(self, figure: str) -> str:
        """The command line that computes the same numbers."""
        words = ["python", "examples/reproduce.py", figure, "--seed", str(self.seed)]
        if self.runs:
            words += ["--runs", numbers(self.first, self.runs)]
        if self.max_evaluations:
            words += ["--max-evaluations", str(self.max_evaluations)]
        return " ".join(words)


@dataclass(frozen=True)
class Figure:
    """A figure or table: what to compute, and what to make of it.

    To add one, write a file like ``figures/success_curves.py`` and name it in ``figures/__init__.py``. Its
    data and pictures are in a folder of its name. All but ``jobs`` work with whatever data are there.

    Attributes:
        name: As on the command line.
    """

    page: ClassVar[str] = "README.md"
    """Of the results, where its tables go."""

    follows: ClassVar[frozenset[str]] = frozenset()
    """Which of a request's ``methods``, ``runs``, ``max_evaluations`` and ``first`` decide what is computed.

    ``first`` is for figures that read all parts of a result, see ``evolution.result.finished``.
    """

    name: str

    def folder(self, results: Path) -> Path:
        """Where its data and pictures are."""
        return results / self.name

    def searches(self, request: Request, experiments: Mapping[Path, Experiment]) -> list[Job]:
        """A search for each experiment; they have their checkpoints in folders named like their results.

        Args:
            request: What was asked for.
            experiments: By the file of the result, in the figure's folder.
        """
        folder, work = self.folder(request.results), request.work / self.name
        command, first = request.command(self.name), request.first
        searches: list[Job] = []
        for whole, experiment in experiments.items():
            file = part_file(whole, first, experiment.runs)
            saved = work / file.relative_to(folder).with_suffix("")
            searches.append(Search(replace(experiment, first=first), file, saved, command))
        return searches

    def jobs(self, request: Request) -> list[Job]:
        """What has to be computed."""
        raise NotImplementedError

    def draw(self, results: Path) -> None:
        """Draw the data that are there."""

    def claims(self, results: Path) -> list[Claim]:
        """The paper's claims about the figure, if its data are complete."""
        return []

    def tables(self, results: Path) -> dict[str, str]:
        """Blocks of the page of results by name, in Markdown, as far as there are data."""
        return {}
