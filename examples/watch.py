"""Watch a champion: what its network sees, beside where it is.

    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1
    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1 --gif champion.gif --picture champion.png
    python examples/watch.py my-results/figure-6/SM-G-SUM.json --replicate 3

The run folder is one of ``evolve.py``, the file one of ``reproduce.py`` with the genomes beside it, and with
further parts of the result, if there are any. Without a file to write, the episode is shown in a window.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from evolution.champions import read_result, read_run
from evolution.domain import Domain
from gym_safemaze.window import Window

FRAMES_PER_SECOND = 10


def genome_of_result(file: Path, replicate: int | None) -> tuple[Domain, np.ndarray]:
    """The domain of a result and the genome (P,) of a replicate's champion.

    Args:
        file: Of ``reproduce.py``, see ``evolution.champions.read_result``, which also says what is raised.
        replicate: Its number, from 1; None for the one that was solved first, or else is the fittest.

    Raises:
        ValueError: If there is no such replicate.
    """
    domain, champions, solved = read_result(file)
    numbers = range(1, len(champions) + 1)
    if replicate is None:
        replicate = min(numbers, key=lambda n: (solved[n - 1], -champions[n - 1].fitness))
    if replicate not in numbers:
        raise ValueError(f"expected a replicate from 1 to {len(champions)}, got {replicate}")
    return domain, champions[replicate - 1].genome


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
        domain, genome = genome_of_result(options.run, options.replicate) if result else read_run(options.run)
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
