"""What it costs to breed in other processes: overhead of a task, and evaluations per second.

    python benchmarks/scaling.py [--engines pool ray] [--workers 1 2] [--sizes 1300 26000 1000000]
    python benchmarks/scaling.py --simulate

The evaluation is a loop of a given length, so that all that is measured is the way there and back: a
parent's genome and 100 experiences go, the child's come. Every repetition does the same work in this process
first. Overheads are CPU time, which a busy machine disturbs less than the rates: of this process for each
task, and of the workers for each task more than it took here. ``--simulate`` puts an overhead into the cost
model of examples/scaling.md and plays the queue: how well workers are employed, and when the first of as many
searches as there are cores for is solved, by the searches of ``reproduce.py beyond-lag``.
"""

from __future__ import annotations

import argparse
import heapq
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import evolution
from evolution.breed import Birth, Brood, breed
from evolution.domain import Domain, Evaluation
from evolution.individual import Individual
from evolution.local_pool import LocalPool, ignore_signals
from evolution.workers import Breeder, Here, Workers
from safe_mutation import GaussianMutation

EXAMPLES = Path(evolution.__file__).parents[1]
REPETITIONS = 5
IN_THE_MAKING = 2  # tasks for each worker
EXPERIENCES = (100, 11)
TASKS_EACH = 20  # that a simulated worker, or place for a task, gets


class Weights:
    """A network that nobody runs.

    Args:
        num_params: Its weights.
    """

    def __init__(self, num_params: int) -> None:
        self.num_params = num_params

    def __call__(self, params: Any, inputs: Any) -> Any:
        """Nothing of use."""
        return params[:, None, :1] * inputs[..., :1]

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P)."""
        return generator.standard_normal((number, self.num_params), dtype=np.float32)


@dataclass(frozen=True)
class Wait(Domain):
    """Evaluations that take a given time of a processor.

    Attributes:
        num_params: Weights of a genome.
        seconds: Of each evaluation.
    """

    name: ClassVar[str] = "wait"
    num_params: int = 1_300
    seconds: float = 0.0

    @property
    def network(self) -> Weights:
        """Weights only."""
        return Weights(self.num_params)

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Use up the time."""
        end = time.thread_time() + self.seconds * len(genomes)
        while time.thread_time() < end:
            pass
        number = len(genomes)
        seen = np.zeros((number, *EXPERIENCES), np.float32)
        used = np.tile([float(os.getpid()), time.process_time()], (number, 1))
        return Evaluation(np.zeros(number), np.zeros(number, bool), seen, used)


def engine(name: str, workers: int) -> Callable[[], Executor]:
    """What starts an executor."""
    if name == "ray":
        from evolution.ray_executor import RayExecutor

        return partial(RayExecutor, None, workers)
    return partial(LocalPool, workers, ignore_signals)


def births(domain: Wait, number: int) -> list[Birth]:
    """Children to be made of one parent each."""
    [genome] = domain.network.initial_genomes(1, np.random.default_rng(1))
    parent = Individual(genome, 0.0, False, np.zeros(EXPERIENCES, np.float32))
    return [Birth(parent, 1, 0, index) for index in range(number)]


def breed_all(breeder: Breeder, tasks: list[list[Birth]], in_the_making: int) -> list[Brood]:
    """Breed tasks, so many of them at a time, and take them back in order."""
    broods, waiting = [], []
    for task in tasks:
        waiting.append(breeder.submit(task))
        if len(waiting) == in_the_making:
            broods.append(breeder.result(waiting.pop(0)))
    return broods + [breeder.result(each) for each in waiting]


def worker_seconds(broods: list[Brood]) -> float:
    """CPU seconds of a worker from one task to its next."""
    clocks: dict[float, list[float]] = {}
    for brood in broods:
        process, used = np.asarray(brood.children[-1].behavior)
        clocks.setdefault(process, []).append(used)
    return statistics.fmean(gap for clock in clocks.values() for gap in np.diff(clock))


class Costs(NamedTuple):
    """What tasks cost.

    Attributes:
        driver: CPU seconds of this process for each.
        worker: CPU seconds of a worker for each.
        rate: Evaluations per second.
    """

    driver: float
    worker: float
    rate: float


def costs(breeder: Breeder, work: list[list[Birth]], in_the_making: int) -> Costs:
    """Measure once."""
    used, began = time.process_time(), time.perf_counter()
    broods = breed_all(breeder, work, in_the_making)
    driver, took = time.process_time() - used, time.perf_counter() - began
    children = sum(len(task) for task in work)
    return Costs(driver / len(work), worker_seconds(broods), children / took)


def measure(name: str, workers: int, domain: Wait, children: int, tasks: int) -> tuple[Costs, Costs]:
    """Costs here and in workers; medians of repetitions that take turns."""
    work = [births(domain, children)] * tasks
    operator = GaussianMutation(domain.network, sigma=0.1)
    here, hired = Here(domain, operator), Workers(domain, operator, engine(name, workers))
    try:
        breed_all(here, work[: 4 * workers], 1)
        breed_all(hired, work[: 4 * workers], 2 * workers)  # workers start
        both = [
            (costs(here, work, 1), costs(hired, work, IN_THE_MAKING * workers)) for _ in range(REPETITIONS)
        ]
    finally:
        hired.close()
    inside, outside = zip(*both, strict=True)
    return medians(inside), medians(outside)


def medians(measured: Sequence[Costs]) -> Costs:
    """The median of each cost."""
    return Costs(*(statistics.median(each) for each in zip(*measured, strict=True)))


def megabytes(domain: Wait) -> tuple[float, float]:
    """What goes to a worker and comes back for each child."""
    there = births(domain, 1)
    back = breed(domain, GaussianMutation(domain.network, sigma=0.1), there)
    return len(pickle.dumps(there)) / 1e6, len(pickle.dumps(back)) / 1e6


def report(options: argparse.Namespace) -> None:
    """Measure and print, a line for each case."""
    print("| engine | weights | ms/evaluation | children/task | MB there, back /child | workers |", end="")
    print(" driver CPU us/task | worker CPU us/task more than here | evaluations/s | times here |")
    print("| --- |" + " ---: |" * 9)
    for size in options.sizes:
        tasks = max(10, min(options.tasks, 30_000_000 // size))
        for milliseconds in options.milliseconds:
            domain = Wait(num_params=size, seconds=milliseconds / 1000)
            there, back = megabytes(domain)
            for name in options.engines:
                for workers in options.workers:
                    here, hired = measure(name, workers, domain, options.children, tasks)
                    print(
                        f"| {name} | {size:,} | {milliseconds:g} | {options.children} "
                        f"| {there:.3f}, {back:.3f} | {workers} | {hired.driver * 1e6:,.0f} "
                        f"| {(hired.worker - here.worker) * 1e6:,.0f} | {hired.rate:,.1f} "
                        f"| {hired.rate / here.rate:.2f} |",
                        flush=True,
                    )


def simulate(workers: int, seconds: float, overhead: float, in_the_making: int, spread: float) -> float:
    """Share of the workers' time that is used when tasks are told in order.

    Args:
        workers: Number of workers.
        seconds: Mean time of a task.
        overhead: Seconds of the driver for each task; it does one thing at a time.
        in_the_making: Tasks handed out at a time: groups x lag.
        spread: Sigma of the logarithm of the times.
    """
    chance = np.random.default_rng(1)
    number = TASKS_EACH * max(workers, in_the_making)
    times = chance.lognormal(np.log(seconds) - spread**2 / 2, spread, number)
    free = [0.0] * min(workers, number)
    done, driver = np.zeros(number), 0.0
    for task in range(number):
        if task >= in_the_making:  # handed out once the oldest has been told
            driver = max(driver, done[task - in_the_making])
        driver += overhead
        start = max(driver, heapq.heappop(free))
        done[task] = start + times[task]
        heapq.heappush(free, done[task])
    return float(times.sum() / (workers * done.max()))


def report_simulation(overhead: float) -> None:
    """Print how well workers are employed."""
    print(f"driver {overhead * 1e6:.0f} us a task; share of the workers' time used")
    print("workers  ms/task  in the making  equal times  lognormal 0.5  lognormal 1")
    for workers in (10, 100, 1_000, 10_000):
        for milliseconds in (10, 100, 1_000):
            for factor in (2, 8):
                shares = [
                    simulate(workers, milliseconds / 1000, overhead, factor * workers, spread)
                    for spread in (0.0, 0.5, 1.0)
                ]
                listed = "  ".join(f"{share:11.2f}" for share in shares)
                print(f"{workers:7,}  {milliseconds:7,}  {factor:7} x each  {listed}")


def report_solutions(overhead: float) -> None:
    """Print when the first search is solved, for each lag; half as many cores as its lag share a search."""
    from beyond.lag import LAG, LAGS, first_of  # it draws, too: nothing for workers to import

    runs = LAG.runs(EXAMPLES / "results")
    print("\nmedian time to the first solution of Recurrent Parity, in evaluations; times lognormal 0.5")
    print("  cores  ms/task  " + "  ".join(f"{f'{name}':>9}" for name in runs))
    for cores in (10, 100, 1_000, 10_000):
        for milliseconds in (10, 100, 1_000):
            times = []
            for name, evaluations in runs.items():
                workers = min(max(LAGS[name] // 2, 1), cores)
                share = simulate(workers, milliseconds / 1000, overhead, LAGS[name], 0.5)
                times.append(first_of(cores // workers, evaluations) / (workers * share))
            print(f"{cores:7,}  {milliseconds:7,}  " + "  ".join(f"{time:9,.0f}" for time in times))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=("pool", "ray"), default=["pool"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_300, 26_000, 1_000_000], help="weights")
    parser.add_argument("--milliseconds", nargs="+", type=float, default=[0.0, 5.0], help="of an evaluation")
    parser.add_argument("--children", type=int, default=4, help="of a task (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=200, help="at most, for each repetition")
    parser.add_argument("--simulate", action="store_true", help="play the queue of a cluster instead")
    parser.add_argument(
        "--overhead", type=float, default=500, help="us of the driver for each task, simulated"
    )
    arguments = parser.parse_args()
    if arguments.simulate:
        report_simulation(arguments.overhead / 1e6)
        report_solutions(arguments.overhead / 1e6)
    else:
        report(arguments)


if __name__ == "__main__":
    main()
