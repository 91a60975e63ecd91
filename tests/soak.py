"""Kills of workers and driver, at random, until so many have been survived: every search ends as undisturbed.

    PYTHONPATH=examples python tests/soak.py 200 --seed 1

Searches follow one another, each with its own seed, until the kills are used up. Half the kills come at
any moment, also while processes start or lost tasks are computed again; half come shortly after a new
checkpoint, so that the search gets on whatever starting takes. A search whose process has ended is started
again by the same command. Ctrl-C ends the kills; the search then goes on to its end, and is compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

import evolve
from evolution import experiment
from evolution.interrupts import deferred_interrupts

SEARCH = [
    "recurrent-parity", "--operator", "SM-G-SUM", "--runs", "4", "--group", "2", "--lag", "2",
    "--workers", "2", "--max-evaluations", "600",
]  # fmt: skip
CHECKPOINT_INTERVAL = 0.5  # seconds
INTERRUPTED = 130  # exit status of a driver that was told to end, and has saved
SAME = ("history.jsonl", "champion.npz", "record.json", "champion.safetensors")


def drive(folder: Path, seed: int, marker: str) -> None:
    """What a driver does: run the command line."""
    os.environ["MARKER"] = marker  # of its workers
    with open(folder.with_suffix(".said"), "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    experiment.CHECKPOINT_INTERVAL = CHECKPOINT_INTERVAL
    sys.exit(evolve.main([*SEARCH, "--seed", str(seed), "--output", str(folder)]))


class Disturbed:
    """A search whose driver is a process of its own, forked because that is quicker than starting one.

    Args:
        folder: Its run folder.
        seed: Its seed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.marker = f"soak-{os.getpid()}-{folder.name}"
        self.arguments = (folder, seed, self.marker)
        self.start()

    def start(self) -> None:
        """Start it, or let it go on."""
        self.process = multiprocessing.get_context("fork").Process(target=drive, args=self.arguments)
        self.process.start()

    def workers(self) -> list[int]:
        """Their numbers."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                ours = folder.name.isdigit() and self.marker.encode() in (folder / "environ").read_bytes()
                if ours and b"spawn_main" in (folder / "cmdline").read_bytes():
                    state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                    found += [int(folder.name)] if state != "Z" else []
            except OSError:  # it has ended by now
                pass
        return found

    def wait_for_checkpoint(self) -> None:
        """Wait until the next is written, or the process has ended."""
        file = self.folder / "checkpoint.npz"
        before = file.stat().st_mtime_ns if file.exists() else 0
        while self.process.is_alive() and (file.stat().st_mtime_ns if file.exists() else 0) == before:
            time.sleep(0.05)

    def finish(self) -> str:
        """Wait for its end; returns what it said.

        Raises:
            AssertionError: If it leaves a process behind.
        """
        self.process.join()
        deadline = time.monotonic() + 300  # one that is just starting first has to read its modules
        while left := self.workers():
            assert time.monotonic() < deadline, f"processes {left} outlive their driver"
            time.sleep(0.1)
        return self.folder.with_suffix(".said").read_text()


def disturb(
    search: Disturbed, over: Callable[[], bool], chance: np.random.Generator, counts: Counter[str]
) -> None:
    """Kill its processes until it ends or kills are over, and then let it end."""
    while True:
        if not over():
            if chance.random() < 0.5:
                search.wait_for_checkpoint()
                time.sleep(chance.uniform(0, 0.5))
            else:
                time.sleep(chance.uniform(0, 3))
            kill_one(search, chance, counts)
        if over() or not search.process.is_alive():
            said = search.finish()
            if search.process.exitcode == 0:
                return
            if search.process.exitcode not in (-signal.SIGKILL, INTERRUPTED):
                assert "lost its worker 3 times" in said, said
                counts["given up"] += 1
            search.start()


def kill_one(search: Disturbed, chance: np.random.Generator, counts: Counter[str]) -> None:
    """Kill a worker, or in three of ten cases the driver."""
    if not search.process.is_alive():
        return
    if (workers := search.workers()) and chance.random() < 0.7:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(int(chance.choice(workers)), signal.SIGKILL)
            counts.update(["killed", "workers"])
    else:
        search.process.kill()
        search.process.join()
        counts.update(["killed", "drivers"])
    if counts["killed"] % 10 == 0:
        print(dict(counts), flush=True)


def compare(
    base: Path, seed: int, over: Callable[[], bool], chance: np.random.Generator, counts: Counter[str]
) -> None:
    """A search that is disturbed with one that is not."""
    whole = Disturbed(base / f"whole-{seed}", seed)
    disturb(whole, lambda: True, chance, counts)
    cut = Disturbed(base / f"cut-{seed}", seed)
    disturb(cut, over, chance, counts)
    for name in SAME:
        ours, theirs = ((search.folder / name).read_bytes() for search in (whole, cut))
        assert ours == theirs, f"{cut.folder / name} is not that of the undisturbed search"
    counts["searches"] += 1


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=1, help="of the kills, and of the first search")
    options = parser.parse_args()
    chance, counts = np.random.default_rng(options.seed), Counter[str]()
    seed, began = options.seed, time.time()
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    with deferred_interrupts() as interrupted:
        while counts["killed"] < options.kills and not interrupted():
            compare(base, seed, lambda: counts["killed"] >= options.kills or interrupted(), chance, counts)
            print(f"{time.time() - began:6.0f} s: {dict(counts)}, all the same", flush=True)
            seed += 1
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
