"""How much faster sensitivities of the paper's large and pixel networks are than those of an ``nn.Module``.

    python benchmarks/sensitivities.py [--domains topdown-maze ...]

Genomes are founders of a search and 20 children of the fittest, which see more pictures; each brings what
it met in its own episode. The baseline is ``FlatNetwork`` of the plain module, one genome at a time, with
the same operator. Both are timed in turn, in CPU time of this process on one thread, and medians compared.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import cpu_time

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from evolution.domain import Domain, Evaluation
from evolution.domains.first_person_maze import FirstPersonMaze
from evolution.domains.large_scale import LargeScale32, LargeScale64, LargeScale101
from evolution.domains.topdown_maze import TopdownMaze
from safe_mutation import FlatNetwork, make

DOMAINS: dict[str, Any] = {
    domain.name: domain
    for domain in (TopdownMaze(), FirstPersonMaze(), LargeScale32(), LargeScale64(), LargeScale101())
}
GENOMES = 20
REPETITIONS = 9


def parents_of(domain: Domain) -> tuple[np.ndarray, Evaluation]:
    """Children (20, P) of the fittest of 100 founders, which behave differently, and what they met."""
    generator = np.random.default_rng(1)
    founders = domain.network.initial_genomes(100, generator)
    best = founders[np.argmax(domain.evaluate(founders).fitness)]
    steps = generator.standard_normal((GENOMES, len(best)), dtype=np.float32)
    genomes = best + np.float32(0.02) * steps
    return genomes, domain.evaluate(genomes)


def plain(experiences: Any) -> np.ndarray:
    """Experiences as the module takes them: a film as all its pictures."""
    if isinstance(experiences, dict):
        return experiences["pictures"][0][experiences["order"][0]][None]
    return experiences


def compare(domain: Any, method: str) -> str:
    """Time both ways; one line of what came of it."""
    genomes, evaluation = parents_of(domain)
    ours = make(method, domain.network, domain=domain.name)
    theirs = make(method, FlatNetwork(domain.network.module()), domain=domain.name)
    experiences = evaluation.experiences
    together = partial(ours, genomes, experiences=experiences, per_parent=True, generator=1)
    together()
    theirs(genomes[0], experiences=plain(experiences[0]), generator=1)
    times = []
    for repetition in range(REPETITIONS):
        n = repetition % GENOMES
        alone = partial(theirs, genomes[n], experiences=plain(experiences[n]), generator=1)
        times.append((cpu_time(alone), cpu_time(together) / GENOMES))
    one, batched = np.median(times, axis=0)
    line = f"{domain.name}, {method}: {1e3 * batched:.1f} ms, nn.Module {1e3 * one:.1f} ms"
    line += f": {one / batched:.1f} times as fast"
    if isinstance(experiences[0], dict):
        distinct = np.mean([len(np.unique(film["order"])) for film in experiences])
        line += f" ({distinct:.0f} of {experiences[0]['order'].shape[1]} pictures distinct)"
    return line


def main() -> None:
    """Time what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS))
    torch.set_num_threads(1)
    for name in parser.parse_args().domains:
        for operator in ("SM-G-SUM", "SM-G-SO"):
            print(compare(DOMAINS[name], operator), flush=True)


if __name__ == "__main__":
    main()
