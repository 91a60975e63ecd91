"""Time and memory of the mutation operators, against the way the published code computes them.

    python benchmarks/operators.py time [--nets maze parity ...]     # adds to operators.json
    python benchmarks/operators.py memory [--nets ...]
    python benchmarks/operators.py default [--nets ...]              # SafeMutation against SM-G-SUM
    python benchmarks/operators.py table                             # operators.json as Markdown

Both ways are timed in turns in one process with one torch thread, by the processor time they take, so
that a busy machine slows both alike; figures are medians. Peak memory is that of a fresh process
above what it had before the mutation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import PeakMemory, fresh_process, processor_seconds
from operator_cases import NETS, OPERATORS, Case
from operator_results import load, save, tables

import evolution
from evolution.result import read_champions
from safe_mutation import SafeMutation

SECONDS_PER_CASE = 10.0
SOLUTIONS = {"maze": "figure-3", "parity RNN": "figure-1"}


def measure_time(net: str, operator: str) -> dict[str, Any]:
    """Milliseconds per child of both ways, measured in turns."""
    case = Case(net, operator)
    case.check()
    case.ours(NETS[net].parents[-1])  # the first calls of a network find out how it can be differentiated
    turns = {"published": case.published} | {str(n): partial(case.ours, n) for n in NETS[net].parents}
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    started = time.process_time()
    repetitions = 0
    while repetitions < 15 and (repetitions < 3 or time.process_time() - started < SECONDS_PER_CASE):
        for name in turns if repetitions % 2 else reversed(turns):
            seconds[name].append(processor_seconds(turns[name]))
        repetitions += 1
    result = {
        "published_ms": 1e3 * statistics.median(seconds["published"]),
        "ours_ms": {str(n): 1e3 * statistics.median(seconds[str(n)]) / n for n in NETS[net].parents},
        "repetitions": repetitions,
    }
    if operator == "SM-R":
        reports = [case.ours(1)[1] for _ in range(20)]
        result["forward_passes"] = statistics.median(info.forward_passes for info in reports)
        result["most_forward_passes"] = max(info.forward_passes for info in reports)
        result["converged"] = sum(info.status == ["converged"] for info in reports) / len(reports)
    return result


def measure_default(net: str, solutions: str | None = None) -> dict[str, float]:
    """How many times the processor time of SM-G-SUM the default operator takes, for N parents, in turns.

    Args:
        net: Their network.
        solutions: A figure of the paper, whose solutions are the parents, with their own experiences. By
            default they have random weights; outputs change more abruptly then, and the search takes longer.
    """
    case = Case(net, "SM-G-SUM")
    parents, experiences, own = case.parents, case.experiences.numpy(), solutions is not None
    if solutions is not None:
        parents, experiences = found_by_evolution(solutions, len(parents))
    ways, ratios = (case.op, SafeMutation(case.network)), {}
    for number in NETS[net].parents:
        seconds: list[list[float]] = [[], []]
        started = time.process_time()
        while len(seconds[0]) < 3 or time.process_time() - started < SECONDS_PER_CASE / 2:
            arguments = {
                "experiences": experiences[:number] if own else experiences,
                "per_parent": own,
                "generator": len(seconds[0]),
            }
            for op, taken in zip(ways, seconds, strict=True):
                taken.append(processor_seconds(partial(op, parents[:number], **arguments)))
        plain, default = (statistics.median(taken[1:]) for taken in seconds)
        ratios[str(number)] = default / plain
    return ratios


def found_by_evolution(figure: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """So many of a figure's solutions (N, P) and their experiences (N, I, ...), each as often as it takes."""
    files = sorted((Path(evolution.__file__).parents[1] / "results" / figure).glob("*.npz"))
    found = [champion for file in files for champion in read_champions(file) if champion.solved]
    genomes = np.stack([champion.genome for champion in found])
    experiences = np.stack([np.asarray(champion.experiences) for champion in found])
    chosen = np.random.default_rng(0).permutation(np.resize(np.arange(len(genomes)), number))
    return genomes[chosen], experiences[chosen]


def peak_memory(net: str, operator: str, number: int) -> float:
    """Peak memory in MB that one call for so many parents adds, or the published way for 0."""
    return float(fresh_process(f"import operators; operators.once({net!r}, {operator!r}, {number})"))


def once(net: str, operator: str, number: int) -> None:
    """Print the peak memory in MB of one call, in a process that does nothing else."""
    case = Case(net, operator)
    with PeakMemory() as peak:
        case.ours(number) if number else case.published()
    print(peak.megabytes)


def measure(what: str, net: str, operator: str) -> dict[str, Any]:
    """The time or the memory of an operator on a network."""
    if what == "time":
        return measure_time(net, operator)
    return {str(n): peak_memory(net, operator, n) for n in (0, 1, NETS[net].parents[-1])}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("what", choices=("time", "memory", "default", "table"))
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "table":
        print(tables(load()), end="")
        return
    for net in options.nets:
        if options.what == "default":
            save("default", net, measure_default(net))
            if net in SOLUTIONS:
                save("default", f"{net}, solutions", measure_default(net, SOLUTIONS[net]))
            continue
        for operator in options.operators:
            result = measure(options.what, net, operator)
            print(net, operator, json.dumps(result), flush=True)
            save(options.what, f"{net}: {operator}", result)


if __name__ == "__main__":
    main()
