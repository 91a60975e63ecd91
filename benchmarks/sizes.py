"""How time and memory of the operators grow with the number of weights and of parents.

    python benchmarks/sizes.py scaling [--device cuda]           # one parent of 1e4 .. 1e8 weights
    python benchmarks/sizes.py in-place [--sizes 1e8 1e9]        # a bfloat16 module, by mutate_
    python benchmarks/sizes.py population [--device cuda]        # 1 .. 1000 parents

Results go to operators.json; `python benchmarks/operators.py table` shows them. One torch thread, processor
time, on a GPU time; peak memory above what there was before.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from measuring import PeakMemory, cpu_time, fresh_process, wall_time
from operator_cases import INTENSITY, MAZE, OPERATORS
from operator_results import save
from torch import nn

from safe_mutation import FlatNetwork, make


def wide_network(weights: int) -> FlatNetwork:
    """64 inputs, one hidden layer as wide as so many weights make it, 4 outputs."""
    hidden = max(1, (weights - 4) // (64 + 1 + 4))
    return FlatNetwork(nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 4)))


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Processor time, or the time until a GPU has done the work."""
    if device != "cuda":
        return cpu_time(work)

    def done() -> None:
        work()
        torch.cuda.synchronize()

    return wall_time(done)


def measure_scaling(weights: int, device: str) -> dict[str, float]:
    """Milliseconds and peak MB of each operator for one parent of so many weights and 100 experiences."""
    network = wide_network(weights)
    parent = network.flatten().to(device)
    experiences = torch.rand(100, 64, generator=torch.Generator().manual_seed(0)).to(device)
    generator = torch.Generator(device).manual_seed(0)
    result: dict[str, float] = {"weights": network.num_params}
    for operator in ("control", *OPERATORS):
        op: Any = make(operator, network, intensity=INTENSITY.get(operator, 0.05))
        seconds = []
        with PeakMemory() as peak:
            for _ in range(4 if weights <= 1e7 else 2):
                call = partial(op, parent, experiences=experiences, generator=generator)
                seconds.append(seconds_of(partial(call, return_info=operator == "SM-R"), device))
        megabytes = peak.megabytes
        if device == "cuda":
            megabytes = torch.cuda.max_memory_allocated() / 2**20
            torch.cuda.reset_peak_memory_stats()
        result |= {f"{operator} ms": 1e3 * min(seconds[1:]), f"{operator} MB": megabytes}
    return result


def deep_module(weights: int) -> nn.Sequential:
    """64 inputs, ReLU layers up to 4096 wide, 4 outputs: about so many bfloat16 weights."""
    width = min(4096, max(4, round((weights / 6) ** 0.5)))
    widths = [64] + [width] * (1 + max(1, round(weights / width**2)))
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        linear = nn.Linear(a, b, dtype=torch.bfloat16)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 4, dtype=torch.bfloat16))


def measure_in_place(operator: str, weights: int) -> dict[str, float]:
    """What the first mutation of a module in place takes, in a fresh process."""
    program = f"import sizes; sizes.once_in_place({operator!r}, {weights})"
    result: dict[str, float] = json.loads(fresh_process(program))
    return result


def once_in_place(operator: str, weights: int) -> None:
    """Print as JSON what the first mutation of a module in place takes, and the process in all."""
    torch.manual_seed(0)
    module = deep_module(weights)
    # The control needs to know no network; the others keep a copy of the module.
    op: Any = make(operator, None if operator == "control" else module, intensity=INTENSITY[operator])
    experiences = torch.rand(100, 64)
    with PeakMemory() as peak:
        seconds = cpu_time(lambda: op.mutate_(module, experiences=experiences, generator=0))
    result = {
        "weights": sum(p.numel() for p in module.parameters()),
        "seconds": seconds,
        "added MB": peak.megabytes,
        "process MB": peak.most / 1024,
    }
    print(json.dumps(result))


def measure_population(number: int, device: str) -> dict[str, float]:
    """Milliseconds per child of so many maze networks."""
    rng = np.random.default_rng(0)
    parents = torch.from_numpy(MAZE.initial_genomes(number, rng)).to(device)
    experiences = torch.from_numpy(rng.random((100, 11), dtype=np.float32)).to(device)
    result: dict[str, float] = {"parents": number}
    for operator in OPERATORS:
        op: Any = make(operator, MAZE, intensity=INTENSITY[operator])
        seconds = []
        for seed in range(8):
            call = partial(op, parents, experiences=experiences, generator=seed)
            seconds.append(seconds_of(partial(call, return_info=operator == "SM-R"), device))
        result[operator] = 1e3 * statistics.median(seconds[1:]) / number
    return result


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("what", choices=("scaling", "in-place", "population"))
    parser.add_argument("--sizes", nargs="+", type=float, help="weights, for population parents")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = options.device
    if options.what == "scaling":
        for size in options.sizes or [1e4, 1e5, 1e6, 1e7, 1e8] + ([1e9] if device == "cuda" else []):
            save(f"scaling {device}", f"{size:g}", measure_scaling(int(size), device))
    elif options.what == "population":
        for size in options.sizes or [1, 20, 100, 250, 1000]:
            save(f"population {device}", f"{size:g}", measure_population(int(size), device))
    else:
        for size in options.sizes or [1e8, 1e9]:
            for operator in ("control", "SM-G-SUM"):
                result = measure_in_place(operator, int(size))
                print(operator, json.dumps(result), flush=True)
                save("in place", f"{size:g}: {operator}", result)


if __name__ == "__main__":
    main()
