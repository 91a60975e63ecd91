"""The choice of those who breed, on a command line: --workers, --ray, --device, --group, --lag, --guess."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from functools import partial

from evolution.algorithm import AsksAhead
from evolution.device import read_device
from evolution.experiment import Experiment
from evolution.local_pool import LocalPool, ignore_signals
from evolution.workers import TIME_LIMIT, Breeder, Here, Workers

LONGEST = 1e8  # seconds, three years: the system's clocks do not wait for ever
GROUP = 4  # replicates of a group by default, when they are spread over workers
LOCAL = "local"  # a Ray of our own


def add_executor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument_group("more than one process").add_argument
    add("--workers", type=int, metavar="N", help="processes on this machine, or CPUs of a Ray of our own")
    add(
        "--ray", nargs="?", const=LOCAL, metavar="ADDRESS",
        help="breed on Ray: started here, or a running cluster's HOST:PORT, or auto",
    )  # fmt: skip
    add(
        "--group", type=int, metavar="N",
        help="replicates, or children of a generation, in one batch (default: all, or "
        f"{GROUP} with workers); a part of the result",
    )  # fmt: skip
    add(
        "--lag", type=int, metavar="L",
        help="children of a replicate in the making at once (default: 1, the paper's); a part of the result",
    )  # fmt: skip
    add(
        "--guess", type=int, metavar="G",
        help="children of a replicate bred at once, those after a wrong guess of a parent again (default: 1)",
    )  # fmt: skip
    add(
        "--device", metavar="NAME",
        help="let torch compute mutations and networks there, for example cuda; a part of the result "
        "(default: networks compiled for the processor)",
    )  # fmt: skip
    add(
        "--time-limit", type=float, default=TIME_LIMIT, metavar="S",
        help="seconds that a worker may take for one task (default: %(default)g)",
    )  # fmt: skip


def check_executor_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with one line and status 2 if they do not make sense."""
    for name in ("workers", "group", "lag", "guess"):
        if (value := getattr(options, name)) is not None and value < 1:
            parser.error(f"argument --{name}: expected at least 1, got {value}")
    if not 0 < options.time_limit <= LONGEST:
        given = options.time_limit
        parser.error(f"argument --time-limit: expected a positive number up to {LONGEST:g}, got {given}")
    if options.device is not None and options.ray is not None:
        parser.error(f"argument --device: expected no --ray beside {options.device}")


def asked(options: argparse.Namespace) -> list[str]:
    """The arguments given that ask for more than whole searches, one after the other or side by side."""
    names = ("ray", "group", "lag", "guess", "device")
    return [f"--{name}" for name in names if getattr(options, name) is not None]


def part_of_the_result(options: argparse.Namespace) -> str:
    """What decides numbers of a search that is spread, as a command line without workers would have it."""
    given = {"--group": _group(options), "--lag": options.lag, "--guess": options.guess}
    words = [f" {name} {value}" for name, value in given.items() if value is not None]
    return "".join(words) + ("" if options.device is None else f" --device {options.device}")


def shared(options: argparse.Namespace, experiment: Experiment) -> Experiment:
    """The experiment with the groups, the lag, the guess and the device that the arguments ask for.

    Workers get groups of a size that does not depend on their number, so that neither does the result.

    Raises:
        ValueError: If the device is none that torch sees, or the experiment is not to be had so.
    """
    group = _group(options)
    if group is not None and isinstance(experiment.algorithm, AsksAhead):
        group = min(group, experiment.runs)
    return dataclasses.replace(
        experiment,
        group=group,
        lag=options.lag or experiment.lag,
        guess=options.guess or experiment.guess,
        device=None if options.device is None else read_device(options.device),
    )


@contextmanager
def hired(options: argparse.Namespace, experiment: Experiment) -> Iterator[Breeder]:
    """Those who breed, for as long as they are needed.

    Raises:
        OSError: If there is no Ray cluster at the address.
        ModuleNotFoundError: If Ray is not installed.
    """
    if options.workers is None and options.ray is None:
        yield Here(experiment.domain, experiment.operator, experiment.device)
        return
    _warn(options.workers or 1, experiment)
    executor = _executor(options)
    workers = Workers(experiment.domain, experiment.operator, executor, options.time_limit, experiment.device)
    with closing(workers):
        yield workers


def _group(options: argparse.Namespace) -> int | None:
    spread = options.workers is not None or options.ray is not None
    return options.group or (GROUP if spread else None)


def _executor(options: argparse.Namespace) -> Executor | Callable[[], Executor]:
    if options.ray is None:
        return partial(LocalPool, options.workers, ignore_signals)
    from evolution.ray_executor import RayExecutor  # Ray need not be installed

    return partial(RayExecutor, None if options.ray == LOCAL else options.ray, options.workers)


def _warn(workers: int, experiment: Experiment) -> None:
    """Say what is of no use."""
    if workers > (cores := os.cpu_count() or 1):
        print(f"warning: {workers} workers on {cores} cores: no more than {cores} can work", file=sys.stderr)
    groups = -(-experiment.runs // (experiment.group or experiment.runs))
    if isinstance(experiment.algorithm, AsksAhead) and workers > groups * experiment.lag:
        print(
            f"warning: {workers} workers for {groups * experiment.lag} tasks at a time ({groups} groups, lag "
            f"{experiment.lag}): more --runs, smaller --group or a larger --lag would employ all",
            file=sys.stderr,
        )
