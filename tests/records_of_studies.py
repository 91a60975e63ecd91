"""The records of a study's searches beside those of the default's, where it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beyond.directions import INCUMBENT
from beyond.race import DIRECTIONS, DOMAIN_NAMES
from evolution.record import Record
from paper.figure import Request


def beside_the_default(jobs: Sequence[Any], request: Request) -> list[tuple[Record, Record]]:
    """Of each job in a domain of the race its record, and that of the default's search there."""
    race: Sequence[Any] = DIRECTIONS.jobs(request)
    fixed = {job.result: job.experiment for job in race}
    plain = {name: fixed[DIRECTIONS.file(request.results, name, INCUMBENT)] for name in DOMAIN_NAMES}
    experiments = [job.experiment for job in jobs if job.experiment.domain.name in DOMAIN_NAMES]
    return [(one.record(), plain[one.domain.name].record()) for one in experiments]
