"""Watch a champion: what its network sees, beside where it is.

    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1
    python examples/watch.py runs/topdown-maze/SM-G-SUM/seed-1 --gif champion.gif --picture champion.png

The run folder is one of ``evolve.py``. Without a file to write, the episode is shown in a window.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from evolution.atomic_file import read_npz
from evolution.domain import Domain
from evolution.domains import DOMAINS
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
    if network != repr(domain.network) or genome.shape != (domain.network.num_params,):
        raise ValueError(
            f"expected a champion of {domain.network!r}, {domain.network.num_params:,} weights, got one of "
            f"{network}, genome of shape {genome.shape}"
        )
    return domain, genome


def read_domain(record: Path) -> tuple[Domain, str]:
    """The domain that a record describes, and what it calls the network."""
    classes = {domain.__name__: domain for domain in DOMAINS.values()}
    try:
        settings = json.loads(record.read_text())["domain"]
        made = classes[settings.pop("class")]
        network = settings.pop("network")
        return made(**settings), network
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected the record of a run in {record}, got something else ({error!r})"
        ) from None


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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of evolve.py")
    parser.add_argument("--gif", type=Path, help="write an animation")
    parser.add_argument("--picture", type=Path, help="write a picture of how the episode ends")
    options = parser.parse_args(arguments)
    try:
        domain, genome = read_run(options.run)
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
