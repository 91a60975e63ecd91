"""Tell how fragile champions are: how small a step changes what their networks do.

    python examples/fragility.py my-results/figure-6/SM-G-SUM.json
    python examples/fragility.py runs/topdown-maze/SM-G-SO/seed-1

The file is a result of ``reproduce.py``, the champions beside it, and read with further parts if there are
any; the folder is a run of ``evolve.py``. A child's outputs diverge by D, or leap past it, on what the
champion has seen in an episode; the table has the length of such a step in a random direction (SM-R), over
the genome's own: the median of some children, and inf where no step changes outputs so much. If some
millionths of the genome's length are enough, a search for a divergence makes children that are safe, and
all but their parents.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evolution.champions import read_result, read_run
from evolution.domain import Domain
from evolution.randomness import Purpose, stream
from paper.markdown import markdown_table
from safe_mutation import SMR

DIVERGENCE = 0.03
CHILDREN = 9  # of each champion
SEED = 1


def champions(run: Path) -> tuple[Domain, list[np.ndarray], Sequence[float | None]]:
    """The domain, the champions' genomes (P,), and after how many evaluations each solved it, where known.

    Raises:
        ValueError: If a file cannot be read, or has champions of another network.
        OSError: If there is none.
    """
    if run.suffix != ".json":
        domain, genome = read_run(run)
        return domain, [genome], [None]
    domain, found, solved = read_result(run)
    return domain, [champion.genome for champion in found], solved.tolist()


def steps(domain: Domain, genomes: Sequence[np.ndarray], divergence: float) -> np.ndarray:
    """Lengths (R,) of steps that change outputs so much or more, over the genomes' own; inf if none does."""
    seen = domain.evaluate(np.stack(genomes)).experiences
    operator = SMR(domain.network, divergence=divergence, max_experiences=domain.experiences_kept)
    noise = [stream(SEED, number, 0, Purpose.MUTATION) for number in range(len(genomes))]
    return np.array([_step(operator, *one) for one in zip(genomes, seen, noise, strict=True)])


def _step(operator: SMR, genome: np.ndarray, experiences: Any, noise: np.random.Generator) -> float:
    parents = np.stack([genome] * CHILDREN)
    children, info = operator(parents, experiences=experiences, generator=noise, return_info=True)
    lengths = np.linalg.norm(children.astype(np.float64) - genome, axis=1)
    lengths[np.array(info.status) == "saturated"] = np.inf
    with np.errstate(divide="ignore"):
        return float(np.median(lengths) / np.linalg.norm(genome.astype(np.float64)))


def table(genomes: Sequence[np.ndarray], solved: Sequence[float | None], found: np.ndarray) -> str:
    """A row for each champion, and below it the medians of those that solve the domain and of the others."""
    rows = [
        [str(n + 1), _evaluations(at), f"{np.linalg.norm(genome):.3g}", f"{step:.2g}"]
        for n, (genome, at, step) in enumerate(zip(genomes, solved, found, strict=True))
    ]
    text = markdown_table(["run", "solved at", "length of the genome", "step over it"], rows)
    known = np.array([np.nan if at is None else at for at in solved])
    for name, some in (("solved", np.isfinite(known)), ("not solved", np.isinf(known))):
        if some.any():
            text += f"\n{int(some.sum())} {name}: median step {np.median(found[some]):.2g}"
    return text + "\n"


def _evaluations(solved: float | None) -> str:
    if solved is None:
        return ""
    return f"{solved:,.0f}" if np.isfinite(solved) else "never"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    add = parser.add_argument
    add("run", type=Path, help="result of reproduce.py, or folder of a run of evolve.py")
    add("--divergence", type=float, default=DIVERGENCE, metavar="D", help="(default: %(default)g)")
    options = parser.parse_args(arguments)
    try:
        domain, genomes, solved = champions(options.run)
        found = steps(domain, genomes, options.divergence)
    except (ValueError, OSError) as error:
        print(f"fragility.py: error: {error}", file=sys.stderr)
        return 2
    print(table(genomes, solved, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
