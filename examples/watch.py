"""Watch a champion: what its network sees, beside where it is.

    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1
    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1 --gif champion.gif --picture champion.png
    python examples/watch.py my-results/figure-6/SM-G-SUM.json --replicate 3

The run folder is one of ``evolve.py``, the file one of ``reproduce.py`` with the genomes beside it. Without
a file to write, the episode is shown in a window.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from evolution.atomic_file import read_json, read_npz
from evolution.domain import Domain
from evolution.domains import DOMAINS
from evolution.result import read_champions, solved_at
from gym_safemaze.window import Window

FRAMES_PER_SECOND = 10


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
    return domain, matching(domain, network, genome)


def read_result(file: Path, replicate: int | None) -> tuple[Domain, np.ndarray]:
    """The domain of a result and the genome (P,) of a replicate's champion.

    Args:
        file: Of ``reproduce.py``, the champions beside it.
        replicate: Its number, from 1; None for the one that was solved first, or else is the fittest.

    Raises:
        ValueError: If a file cannot be read, there is no such replicate, or its champion is of another
            network.
        OSError: If there is none.
    """
    domain, network = read_domain(file)
    champions, solved = read_champions(file.with_suffix(".npz")), solved_at(file)
    numbers = range(1, len(champions) + 1)
    if replicate is None:
        replicate = min(numbers, key=lambda n: (solved[n - 1], -champions[n - 1].fitness))
    if replicate not in numbers:
        raise ValueError(f"expected a replicate from 1 to {len(champions)}, got {replicate}")
    return domain, matching(domain, network, champions[replicate - 1].genome)


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


def matching(domain: Domain, network: str, genome: np.ndarray) -> np.ndarray:
    """A genome that is one of the domain's network.

    Raises:
        ValueError: If it is of another.
    """
    if network != repr(domain.network) or genome.shape != (domain.network.num_params,):
        raise ValueError(
            f"expected a champion of {domain.network!r}, {domain.network.num_params:,} weights, got one of "
            f"{network}, genome of shape {genome.shape}"
        )
    return genome


def save_gif(path: Path, frames: list[np.ndarray]) -> None:
    """Write an animation that starts again after a moment."""
    first, *others = [Image.fromarray(frame).quantize(96) for frame in frames]
    duration = [1000 // FRAMES_PER_SECOND] * len(others) + [1500]
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, optimize=True)


def show(frames: Iterator[np.ndarray]) -> None:
    """Show the frames in a window."""
    window = Window()
    for frame in frames:
        window.show(frame, FRAMES_PER_SECOND)
    window.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of evolve.py, or result of reproduce.py")
    parser.add_argument(
        "--replicate",
        type=int,
        metavar="K",
        help="of a result, from 1 (default: the one that was solved first)",
    )
    parser.add_argument("--gif", type=Path, help="write an animation")
    parser.add_argument("--picture", type=Path, help="write a picture of how the episode ends")
    options = parser.parse_args(arguments)
    try:
        result = options.run.suffix == ".json"
        if options.replicate is not None and not result:
            raise ValueError(f"expected a result of reproduce.py with --replicate, got {options.run}")
        domain, genome = read_result(options.run, options.replicate) if result else read_run(options.run)
        frames = domain.replay(genome)
        if options.gif is None and options.picture is None:
            show(frames)
            return 0
        kept = list(frames)
        if options.gif is not None:
            save_gif(options.gif, kept)
        if options.picture is not None:
            Image.fromarray(kept[-1]).save(options.picture)
    except (ValueError, OSError) as error:
        print(f"watch.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
