"""Champions, read back with their domain: of a run of ``evolve.py``, or of a result of ``reproduce.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolution.atomic_file import read_json, read_npz
from evolution.domain import Domain
from evolution.domains import DOMAINS
from evolution.individual import Individual
from evolution.parts import parts
from evolution.result import read_champions, solved_at


def read_run(folder: Path) -> tuple[Domain, np.ndarray]:
    """The domain of a run and the genome (P,) of its champion.

    Raises:
        ValueError: If a file cannot be read, or the champion is of another network than the domain's.
        OSError: If there is none.
    """
    domain, network = read_domain(folder / "record.json")
    champion = folder / "champion.npz"
    try:
        genome = read_npz(champion)[0]["genome"]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"expected the champion of a run in {champion}, got a file without one ({error})"
        ) from None
    _refuse_other(domain, network, genome)
    return domain, genome


def read_result(file: Path) -> tuple[Domain, list[Individual], np.ndarray]:
    """The domain of a result, its R champions, and evaluations (R,) after which each run was solved.

    Where a run never was, it is inf.

    Args:
        file: Of the result, the champions beside it. Where it is in parts, the first of them, or what would
            be its name: all are read.

    Raises:
        ValueError: If a file cannot be read, parts do not belong together, or a champion is of another
            network than the domain's.
        OSError: If there is none.
    """
    files = parts(file) or [file]
    domain, network = read_domain(files[0])
    solved = solved_at(*files)
    champions = [champion for part in files for champion in _champions_of(part)]
    for champion in champions:
        _refuse_other(domain, network, champion.genome)
    return domain, champions, solved


def _champions_of(part: Path) -> list[Individual]:
    champions, runs = read_champions(part.with_suffix(".npz")), len(solved_at(part))
    if len(champions) != runs:
        raise ValueError(f"expected {runs} champions, one of each run in {part}, got {len(champions)}")
    return champions


def read_domain(file: Path) -> tuple[Domain, str]:
    """The domain that a record, or a result with one, describes, and what it calls the network."""
    classes = {domain.__name__: domain for domain in DOMAINS.values()}
    try:
        content = read_json(file)
        settings = content.get("record", content)["domain"]
        name, network = settings.pop("class"), settings.pop("network")
        if name in classes:
            return classes[name](**settings), network
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected the record of a run in {file}, got something else ({error!r})") from None
    raise ValueError(f"expected a run of {', '.join(classes)} in {file}, got one of {name}")


def _refuse_other(domain: Domain, network: str, genome: np.ndarray) -> None:
    """Raises ValueError if a genome is of another network than the domain's."""
    if network != repr(domain.network) or genome.shape != (domain.network.num_params,):
        raise ValueError(
            f"expected a champion of {domain.network!r}, {domain.network.num_params:,} weights, got one of "
            f"{network}, genome of shape {genome.shape}"
        )
