"""Time and memory of the mutation operators, against the way the published code computes them.

    python benchmarks/operators.py time [--nets maze parity ...]     # adds to operators.json
    python benchmarks/operators.py memory [--nets ...]
    python benchmarks/operators.py scaling [--device cuda]           # one parent of 1e4 .. 1e8 weights
    python benchmarks/operators.py in-place [--sizes 1e8 1e9]        # a bfloat16 module, by mutate_
    python benchmarks/operators.py population [--device cuda]        # 1 .. 1000 parents
    python benchmarks/operators.py default [--nets ...]              # SafeMutation against SM-G-SUM
    python benchmarks/operators.py table                             # operators.json as Markdown

Both ways are timed in turns in one process with one torch thread, by the processor time they take, so
that a busy machine slows both alike; figures are medians. Peak memory is that of a fresh process
above what it had before the mutation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import published_method
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.networks.conv_lstm import topdown_network
from evolution.networks.feed_forward import FeedForwardModule, hard_maze_network, large_scale_network
from evolution.networks.parity_rnn import ParityNetwork
from evolution.result import read_champions
from safe_mutation import FlatNetwork, SafeMutation, make
from safe_mutation.presets import PRESETS

RESULTS = Path(__file__).with_name("operators.json")
OPERATORS = ("SM-G-SUM", "SM-G-ABS", "SM-G-SO", "SM-R")
INTENSITY = PRESETS["breadcrumb-hard-maze"].intensity
COMMANDS = (
    "time",
    "memory",
    "scaling",
    "in-place",
    "population",
    "default",
    "table",
    "once",
    "once-in-place",
)
SECONDS_PER_CASE = 10.0
SOLUTIONS = {"maze": "figure-3", "parity RNN": "figure-1"}
MAZE, PARITY, TOPDOWN = hard_maze_network(), ParityNetwork(), topdown_network()


@dataclass(frozen=True)
class Net:
    """A network twice: as the published code has it and as ours; and the shape of its experiences.

    With ``distinct`` the steps of its one sequence are so many different pictures, of bytes, again and again.
    """

    module: Callable[[], nn.Module]
    ours: Callable[[nn.Module], Any]
    experiences: tuple[int, ...]
    parents: tuple[int, ...] = (1, 20, 100, 250)
    distinct: int | None = None


def published_selu(x: Tensor) -> Tensor:
    """SELU as the published network composes it of older functions."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * torch.relu(x) + scale * alpha * nn.functional.elu(-torch.relu(-x))


def large(depth: int, width: int) -> Net:
    """A network of the large-scale study."""
    network = large_scale_network(depth, width)
    return Net(network.module, lambda _: network, (100, 11), (1, 20, 100))


def sequence() -> nn.Module:
    """The hard-maze network as most people would write it."""
    layers: list[nn.Module] = []
    for a, b in pairwise(MAZE.widths[:-1]):
        layers += [nn.Linear(a, b), nn.SELU()]
    return nn.Sequential(*layers, nn.Linear(MAZE.widths[-2], MAZE.widths[-1]), nn.Sigmoid())


NETS = {
    "maze": Net(MAZE.module, lambda _: MAZE, (100, 11)),
    "maze, SELU as published": Net(
        lambda: FeedForwardModule(MAZE.widths, published_selu, 0), lambda _: MAZE, (100, 11)
    ),
    "maze, nn.Sequential": Net(sequence, FlatNetwork, (100, 11)),
    "32 x 125": large(32, 125),
    "64 x 125": large(64, 125),
    "101 x 48": large(101, 48),
    "parity RNN": Net(PARITY.module, lambda _: PARITY, (16, 4, 1)),
    "conv-LSTM": Net(TOPDOWN.module, FlatNetwork, (1, 40, 64, 64), (1, 4)),
    "conv-LSTM, repeated pictures": Net(
        TOPDOWN.module, lambda _: TOPDOWN, (1, 40, 64, 64), (1, 4), distinct=12
    ),
}


class Case:
    """One operator on one network: a child of the published method, or N children of ours, at a call."""

    def __init__(self, net: str, operator: str) -> None:
        torch.manual_seed(0)
        self.module, self.operator = NETS[net].module(), operator
        flat = torch.cat([p.detach().reshape(-1) for p in self.module.parameters()]).numpy()
        self.network = NETS[net].ours(self.module)
        if self.network.num_params != len(flat):
            raise AssertionError(f"{net}: {self.network.num_params} weights here, {len(flat)} there")
        rng = np.random.default_rng(0)
        most = max(NETS[net].parents)
        self.parents = flat + 0.05 * rng.standard_normal((most, len(flat)), dtype=np.float32)
        self.experiences = torch.from_numpy(rng.random(NETS[net].experiences, dtype=np.float32))
        if (distinct := NETS[net].distinct) is not None:
            order = rng.integers(distinct, size=self.experiences.shape[1])
            self.experiences = (255 * self.experiences[:, order]).to(torch.uint8)
        self.op: Any = make(operator, self.network, intensity=INTENSITY[operator])
        self.rng = rng

    def published(self) -> Any:
        """One child."""
        delta = np.float32(0.05) * self.rng.standard_normal(self.parents.shape[1], dtype=np.float32)
        arguments = self.module, self.parents[0], self.experiences, delta
        if self.operator == "SM-R":
            return published_method.rescale(*arguments, INTENSITY["SM-R"])
        return published_method.mutate(self.operator, *arguments)

    def ours(self, number: int) -> Any:
        """As many children, of as many parents."""
        seed = int(self.rng.integers(2**31))
        return self.op(
            self.parents[:number],
            experiences=self.experiences,
            generator=seed,
            return_info=self.operator == "SM-R",
        )

    def check(self) -> None:
        """Both ways must agree on the sensitivity before they are compared for speed."""
        if self.operator not in ("SM-G-SUM", "SM-G-ABS"):
            return
        compute = (
            published_method.sum_sensitivity
            if self.operator == "SM-G-SUM"
            else published_method.abs_sensitivity
        )
        expected = compute(self.module, self.parents[0], self.experiences)
        found = self.op.sensitivity(self.parents[0], experiences=self.experiences)
        worst = np.abs(found - expected).max() / expected.max()
        if worst > 1e-3:
            raise AssertionError(f"sensitivities differ by {worst:.1e}")


def processor_seconds(function: Callable[[], Any]) -> float:
    """Processor time of a call; short ones are repeated, the caches being warm."""
    start = time.process_time()
    function()
    once = time.process_time() - start
    if once > 0.05:
        return once
    start = time.process_time()
    for _ in range(5):
        function()
    return (time.process_time() - start) / 5


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
    files = sorted((RESULTS.parents[1] / "examples" / "results" / figure).glob("*.npz"))
    found = [champion for file in files for champion in read_champions(file) if champion.solved]
    genomes = np.stack([champion.genome for champion in found])
    experiences = np.stack([np.asarray(champion.experiences) for champion in found])
    chosen = np.random.default_rng(0).permutation(np.resize(np.arange(len(genomes)), number))
    return genomes[chosen], experiences[chosen]


def peak_memory(*arguments: str) -> float:
    """Peak memory in MB that one call adds in a fresh process; see ``once``."""
    return float(fresh_process("once", *arguments))


def fresh_process(*arguments: str) -> str:
    """What this file prints in a process of its own, which finds modules where this one does."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def once(net: str, operator: str, number: str) -> None:
    """Print the peak memory in MB of one call for so many parents, or of the published way for 0."""
    case = Case(net, operator)
    with PeakMemory() as peak:
        case.ours(int(number)) if int(number) else case.published()
    print(peak.megabytes)


class PeakMemory:
    """The most memory that was resident during a block above what was before, on Linux."""

    megabytes = 0.0
    most = 0  # kilobytes of the whole process

    def __enter__(self) -> PeakMemory:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        self._before = self._kilobytes("VmRSS")
        return self

    def __exit__(self, *error: object) -> None:
        self.most = self._kilobytes("VmHWM")
        self.megabytes = (self.most - self._before) / 1024

    @staticmethod
    def _kilobytes(name: str) -> int:
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
        return int(line.split()[1])


def wide_network(weights: int) -> FlatNetwork:
    """64 inputs, one hidden layer as wide as so many weights make it, 4 outputs."""
    hidden = max(1, (weights - 4) // (64 + 1 + 4))
    return FlatNetwork(nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 4)))


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
                start = time.perf_counter() if device == "cuda" else time.process_time()
                op(parent, experiences=experiences, generator=generator, return_info=operator == "SM-R")
                if device == "cuda":
                    torch.cuda.synchronize()
                seconds.append((time.perf_counter() if device == "cuda" else time.process_time()) - start)
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


def once_in_place(operator: str, weights: str) -> None:
    """Print as JSON what the first mutation of a module in place takes, and the process in all."""
    torch.manual_seed(0)
    module = deep_module(int(weights))
    # The control needs to know no network; the others keep a copy of the module.
    op: Any = make(operator, None if operator == "control" else module, intensity=INTENSITY[operator])
    experiences = torch.rand(100, 64)
    with PeakMemory() as peak:
        start = time.process_time()
        op.mutate_(module, experiences=experiences, generator=0)
        seconds = time.process_time() - start
    result = {
        "weights": sum(p.numel() for p in module.parameters()),
        "seconds": seconds,
        "added MB": peak.megabytes,
        "process MB": peak.most / 1024,
    }
    print(json.dumps(result))


def measure_in_place(operator: str, weights: int) -> dict[str, float]:
    """What ``once_in_place`` says in a fresh process."""
    result: dict[str, float] = json.loads(fresh_process("once-in-place", operator, str(weights)))
    return result


def measure_population(number: int, device: str) -> dict[str, float]:
    """Milliseconds per child of so many maze networks."""
    network = hard_maze_network()
    rng = np.random.default_rng(0)
    parents = torch.from_numpy(network.initial_genomes(number, rng)).to(device)
    experiences = torch.from_numpy(rng.random((100, 11), dtype=np.float32)).to(device)
    result: dict[str, float] = {"parents": number}
    for operator in OPERATORS:
        op: Any = make(operator, network, intensity=INTENSITY[operator])
        seconds = []
        for seed in range(8):
            start = time.perf_counter() if device == "cuda" else time.process_time()
            op(parents, experiences=experiences, generator=seed, return_info=operator == "SM-R")
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append((time.perf_counter() if device == "cuda" else time.process_time()) - start)
        result[operator] = 1e3 * statistics.median(seconds[1:]) / number
    return result


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def load() -> dict[str, Any]:
    """The results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def save(section: str, key: str, value: Any) -> None:
    """Add one result."""
    results = load()
    on_gpu = section.endswith(" cuda")
    results["machine cuda" if on_gpu else "machine"] = {
        **({"card": torch.cuda.get_device_name()} if on_gpu else {}),
        "processor": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": 1,
    }
    results.setdefault(section, {})[key] = value
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def tables(results: dict[str, Any]) -> str:
    """All results as Markdown."""
    lines = ["| network | operator | published | N = 1 | N = 20 | N = 100 | N = 250 |", "|---" * 7 + "|"]
    for net in NETS:
        for operator in OPERATORS:
            row = results.get("time", {}).get(f"{net}: {operator}")
            if row:
                published = row["published_ms"]
                cells = [_cell(row["ours_ms"], n, published) for n in ("1", "20", "100", "250")]
                if "4" in row["ours_ms"]:
                    cells[1] = "N = 4: " + _cell(row["ours_ms"], "4", published)
                lines.append(f"| {net} | {operator} | {_time(published)} | {' | '.join(cells)} |")
    memory = results.get("memory")
    if memory:
        lines += ["", "| network | operator | peak memory, published | N = 1 | N parents |", "|---" * 5 + "|"]
    for key, row in (memory or {}).items():
        (_, published), (_, one), (most, many) = row.items()
        sizes = f"{published:.0f} MB | {one:.0f} MB | N = {most}: {many:.0f} MB"
        lines.append(f"| {key.replace(': ', ' | ')} | {sizes} |")
    for name, title in (("scaling cpu", "weights"), ("scaling cuda", "weights, GPU")):
        rows = results.get(name)
        if rows:
            lines += ["", f"| {title} | control | {' | '.join(OPERATORS)} |", "|---" * 6 + "|"]
        for row in (rows or {}).values():
            cells = [
                f"{_time(row[f'{op} ms'])}, {max(0.0, row[f'{op} MB']):.0f} MB"
                for op in ("control", *OPERATORS)
            ]
            lines.append(f"| {row['weights']:,} | {' | '.join(cells)} |")
    rows = results.get("default")
    if rows:
        lines += ["", "| SafeMutation / SM-G-SUM | N = 1 | N = 20 | N = 100 | N = 250 |", "|---" * 5 + "|"]
    for net, row in (rows or {}).items():
        cells = [_ratio(row[n]) if n in row else "" for n in ("1", "20", "100", "250")]
        if "4" in row:
            cells[1] = "N = 4: " + _ratio(row["4"])
        lines.append(f"| {net} | {' | '.join(cells)} |")
    rows = results.get("in place")
    if rows:
        lines += [
            "",
            "| weights, bfloat16 | operator | time | peak, added | peak, process |",
            "|---" * 5 + "|",
        ]
    for key, row in (rows or {}).items():
        sizes = f"{row['added MB'] / 1024:.1f} GB | {row['process MB'] / 1024:.1f} GB"
        lines.append(f"| {row['weights']:,} | {key.split(': ')[1]} | {row['seconds']:.3g} s | {sizes} |")
    for name, title in (("population cpu", "parents"), ("population cuda", "parents, GPU")):
        rows = results.get(name)
        if rows:
            lines += ["", f"| {title} | {' | '.join(OPERATORS)} |", "|---" * 5 + "|"]
        for row in (rows or {}).values():
            lines.append(f"| {row['parents']:.0f} | {' | '.join(_time(row[op]) for op in OPERATORS)} |")
    return "\n".join(lines)


def _cell(milliseconds: dict[str, float], number: str, published: float) -> str:
    if number not in milliseconds:
        return ""
    return f"{_time(milliseconds[number])} ({_ratio(published / milliseconds[number])})"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 999.5 else f"{milliseconds / 1e3:.3g} s"


def _ratio(value: float) -> str:
    return f"{value:,.0f}x" if value >= 10 else f"{value:.1f}x"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    parser.add_argument("--sizes", nargs="+", type=float, help="weights for scaling, parents for population")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "once":
        once(*options.arguments)
    elif options.what == "once-in-place":
        once_in_place(*options.arguments)
    elif options.what == "table":
        print(tables(load()))
    elif options.what == "scaling":
        sizes = options.sizes or [1e4, 1e5, 1e6, 1e7, 1e8] + ([1e9] if options.device == "cuda" else [])
        for size in sizes:
            save(f"scaling {options.device}", f"{size:g}", measure_scaling(int(size), options.device))
    elif options.what == "in-place":
        for size in options.sizes or [1e8, 1e9]:
            for operator in ("control", "SM-G-SUM"):
                result = measure_in_place(operator, int(size))
                print(operator, json.dumps(result), flush=True)
                save("in place", f"{size:g}: {operator}", result)
    elif options.what == "population":
        for size in options.sizes or [1, 20, 100, 250, 1000]:
            save(f"population {options.device}", f"{size:g}", measure_population(int(size), options.device))
    elif options.what == "default":
        for net in options.nets:
            save("default", net, measure_default(net))
            if net in SOLUTIONS:
                save("default", f"{net}, solutions", measure_default(net, SOLUTIONS[net]))
    else:
        for net in options.nets:
            for operator in options.operators:
                if options.what == "time":
                    result = measure_time(net, operator)
                else:
                    numbers = (0, 1, NETS[net].parents[-1])
                    result = {str(n): peak_memory(net, operator, str(n)) for n in numbers}
                print(net, operator, json.dumps(result), flush=True)
                save(options.what, f"{net}: {operator}", result)


if __name__ == "__main__":
    main()
