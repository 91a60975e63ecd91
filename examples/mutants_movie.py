"""An animation of a hundred mutants of one maze champion, by the control and by a safe mutation.

    python examples/mutants_movie.py runs/breadcrumb-hard-maze/SM-G-SUM/seed-1/champion.npz

Both mutations change the weights by the same length. Writes mutants.gif and, with all paths
complete, mutants.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt
import torch
from matplotlib.animation import PillowWriter
from matplotlib.collections import LineCollection

from evolution.atomic_file import read_npz
from evolution.domain import Evaluation
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.hard_maze_picture import CHILDREN, FAILS, SOLVES, draw_maze, draw_paths, mutants
from evolution.individual import Individual
from evolution.randomness import seed_argument
from paper.style import SM_G

DOMAIN = BreadcrumbHardMaze()

DECISIONS_PER_PICTURE = 4
PICTURES_PER_SECOND = 12
LAST_PICTURE_HELD = 18  # pictures


def load_champion(path: Path) -> Individual:
    """The champion that evolve.py left in a run folder.

    Raises:
        ValueError: If the file is none, or of another domain.
    """
    try:
        arrays, _ = read_npz(path)
        champion = Individual(
            arrays["genome"], float(arrays["fitness"]), bool(arrays["solved"]), arrays["experiences"]
        )
    except (ValueError, KeyError) as error:
        raise ValueError(f"expected a champion.npz of evolve.py, got {path} ({error})") from None
    expected = (DOMAIN.network.num_params,)
    if champion.genome.shape != expected:
        raise ValueError(f"expected a hard maze champion of shape {expected}, got {champion.genome.shape}")
    return champion


def animate(evaluations: dict[str, Evaluation], stem: Path) -> None:
    """Draw the robots of both operators side by side, decision by decision.

    Args:
        evaluations: For each operator the evaluation of its children.
        stem: Path of the animation and the picture without ``.gif`` and ``.png``.
    """
    figure, axes = plt.subplots(1, len(evaluations), figsize=(8, 4.4), layout="constrained")
    for ax, (name, evaluation) in zip(axes, evaluations.items(), strict=True):
        draw_maze(ax)
        ax.set_title(
            f"{CHILDREN} mutants by {name}: {evaluation.solved.mean():.0%} solve the maze", fontsize=10
        )
    moving = [_Swarm(ax, evaluation) for ax, evaluation in zip(axes, evaluations.values(), strict=True)]
    last = next(iter(evaluations.values())).behavior.shape[1] - 1
    writer = PillowWriter(fps=PICTURES_PER_SECOND)
    with writer.saving(figure, str(stem.with_suffix(".gif")), dpi=72):
        for step in [*range(0, last, DECISIONS_PER_PICTURE), *[last] * LAST_PICTURE_HELD]:
            for swarm in moving:
                swarm.move_to(step)
            writer.grab_frame()
    for ax, swarm, evaluation in zip(axes, moving, evaluations.values(), strict=True):
        swarm.remove()
        draw_paths(ax, evaluation.behavior, evaluation.solved)
    figure.savefig(stem.with_suffix(".png"), dpi=110)
    plt.close(figure)


class _Swarm:
    """The robots of one panel: a dot for each and the path it has come."""

    def __init__(self, ax: plt.Axes, evaluation: Evaluation) -> None:
        self.paths = evaluation.behavior
        colours = [SOLVES if solved else FAILS for solved in evaluation.solved]
        self.trails = LineCollection([], colors=colours, linewidths=0.5, alpha=0.6)
        ax.add_collection(self.trails)
        x, y = self.paths[:, 0].T
        self.dots = ax.scatter(x, y, s=10, color=colours, edgecolors="black", linewidths=0.3, zorder=4)

    def move_to(self, step: int) -> None:
        self.trails.set_segments(list(self.paths[:, : step + 1]))
        self.dots.set_offsets(self.paths[:, step])

    def remove(self) -> None:
        self.trails.remove()
        self.dots.remove()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("champion", type=Path, help="champion.npz of a run of evolve.py in the hard maze")
    parser.add_argument("--operator", choices=SM_G, default="SM-G-SUM", help="default: %(default)s")
    parser.add_argument(
        "--seed", type=seed_argument, default=1, help="of the mutations (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("mutants"), help="path without .gif and .png")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        champion = load_champion(options.champion)
        genomes = mutants(DOMAIN, champion, options.seed, options.operator)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        animate({name: DOMAIN.evaluate(kids) for name, kids in genomes.items()}, options.output)
    except (ValueError, OSError) as error:
        print(f"mutants_movie.py: error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.output.with_suffix('.gif')} and {options.output.with_suffix('.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
