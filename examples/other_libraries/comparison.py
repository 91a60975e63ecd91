"""A library's stock mutation against the safe one: what the command lines of the libraries' files do.

    python examples/other_libraries/evotorch_parity.py --seeds 10 --save    results into results.json
    python examples/other_libraries/comparison.py                           its table

Each run stops at its first solution or when its evaluations are spent.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        library: Its name on PyPI.
        task: RecurrentParity or HardMaze.
        stock: The mutation that the library brings, with its settings.
        run: ``run(task, safe, seed, budget)`` evolves until ``task.solved_at`` is set or the budget of
            evaluations is spent.
        budget: Evaluations.
    """

    library: str
    task: Any
    stock: str
    run: Callable[[Any, bool, int, int], None]
    budget: int

    def main(self) -> None:
        """The command line of a library's file."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--seeds", type=int, default=3)
        parser.add_argument("--evaluations", type=int, default=self.budget)
        parser.add_argument("--save", action="store_true", help="write the results into results.json")
        options = parser.parse_args()
        torch.set_num_threads(1)  # the networks are small
        print(f"{self.task.name}, {self.library} {version(self.library)}: {self.stock}, or safe mutation")
        record = {"version": version(self.library), "task": self.task.name, "stock_mutation": self.stock}
        runs: dict[str, list] = {"stock": [], "safe": []}
        for seed in range(1, options.seeds + 1):
            for name, done in runs.items():
                done.append(self._run(name == "safe", seed, options.evaluations))
            print(f"seed {seed}: " + ", ".join(f"{name} {told(done[-1])}" for name, done in runs.items()))
            if options.save:
                save(self.library, record | {"budget": options.evaluations} | runs, RESULTS)

    def _run(self, safe: bool, seed: int, budget: int) -> dict:
        task, began = self.task(), time.process_time()
        self.run(task, safe, seed, budget)
        seconds = round(time.process_time() - began, 1)
        return {"solved_at": task.solved_at, "best": round(task.best, 3), "cpu_seconds": seconds}


def told(run: dict) -> str:
    """How a run ended, for people."""
    if run["solved_at"] is None:
        return f"not solved, best fitness {run['best']:.3g}"
    return f"solved at evaluation {run['solved_at']:,}"


def save(name: str, record: dict, path: Path) -> None:
    """Put a record in place of the former one of that name."""
    records = json.loads(path.read_text()) if path.exists() else {}
    records[name] = record
    lines = [f"{json.dumps(name)}: {json.dumps(records[name])}" for name in sorted(records)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def table() -> str:
    """The results as the README shows them."""
    rows = [
        "| library | task, evaluations | stock mutation | solved: stock | safe | median best fitness: stock "
        "| safe | safe is better, worse |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for library, record in json.loads(RESULTS.read_text()).items():
        sides = [record["stock"], record["safe"]]
        solved = [f"{sum(run['solved_at'] is not None for run in side)} of {len(side)}" for side in sides]
        medians = [f"{np.median([run['best'] for run in side]):.3g}" for side in sides]
        better = sum(rank(safe) > rank(stock) for stock, safe in zip(*sides, strict=True))
        worse = sum(rank(safe) < rank(stock) for stock, safe in zip(*sides, strict=True))
        rows.append(
            f"| {library} {record['version']} | {record['task']}, {record['budget']:,} "
            f"| {record['stock_mutation']} | {' | '.join(solved + medians)} | {better}, {worse} |"
        )
    return "\n".join(rows)


def rank(run: dict) -> tuple[float, float]:
    """The earlier solved, the better; of unsolved runs, the fitter."""
    return (-np.inf, run["best"]) if run["solved_at"] is None else (-run["solved_at"], 0.0)


if __name__ == "__main__":
    print(table())
