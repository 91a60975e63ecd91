"""How safe a child is where its operator did not look: divergence on experiences that it was not given.

Every operator changes behaviour by the same divergence on the experiences that it sees. What its children
do on others (other moments of the same episode, an episode from another place, what another parent has
seen) is what tells the operators apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import wilcoxon
from tqdm import tqdm

from beyond.comparison import holm
from beyond.directions import EXPONENTS, Setting
from beyond.parents import random_genomes, solutions
from beyond.study import COLOURS, Study
from evolution.atomic_file import read_json
from evolution.domain import Domain
from evolution.domains.breadcrumb_hard_maze import ENVIRONMENT, BreadcrumbHardMaze
from evolution.domains.recurrent_parity import STRINGS, RecurrentParity
from evolution.randomness import Purpose, stream
from evolution.record import describe
from paper.computation import Computation
from paper.figure import Job, Request
from paper.figures.success_curves import FIGURE_1, FIGURE_3
from paper.markdown import markdown_table
from paper.style import save_figure
from safe_mutation import DivergenceNotReached, make, sensitivity

DIVERGENCE = 0.03
PARENTS = 50  # of each kind in each domain
CHILDREN = 10  # of each parent by each operator
ELSEWHERE = {"start": np.array([150.0, 180.0]), "heading": np.array(180.0)}  # of the hard maze's robot
OPERATORS = [
    Setting(method, exponent, DIVERGENCE) for method, exponents in EXPONENTS.items() for exponent in exponents
]
PLAIN = OPERATORS[0].name  # SM-R: a direction without sensitivities
KINDS = ("solutions", "random genomes")
Sets = dict[str, np.ndarray]  # name -> experiences (N, I, ...) of N parents
Ratios = dict[str, dict[str, dict[str, dict[str, list[float]]]]]  # domain, parents, experiences, operator


def parity_sets(domain: Domain, parents: np.ndarray, seed: int) -> tuple[np.ndarray, Sets]:
    """Half of the sixteen strings, drawn for each parent, and the other half."""
    orders = [stream(seed, n, 0, Purpose.EXPERIENCES).permutation(len(STRINGS)) for n in range(len(parents))]
    strings = STRINGS[np.stack(orders)]
    return strings[:, :8], {"the other eight strings": strings[:, 8:]}


def maze_sets(domain: Domain, parents: np.ndarray, seed: int) -> tuple[np.ndarray, Sets]:
    """100 moments of a parent's episode, and others: of it, of one from elsewhere, and of another parent."""
    episodes = np.asarray(domain.evaluate(parents).experiences)
    orders = [
        stream(seed, n, 0, Purpose.EXPERIENCES).permutation(episodes.shape[1]) for n in range(len(parents))
    ]
    mixed = np.stack([episode[order] for episode, order in zip(episodes, orders, strict=True)])
    elsewhere = drive_from_elsewhere(domain, parents)
    return mixed[:, :100], {
        "other moments": mixed[:, 100:200],
        "from another place": elsewhere[:, ::4],
        "what another has seen": np.roll(mixed[:, :100], 1, axis=0),
    }


def drive_from_elsewhere(domain: Any, genomes: np.ndarray) -> np.ndarray:
    """Observations (N, 400, 11) of episodes that begin elsewhere in the hard maze."""
    lanes = gym.make_vec(
        ENVIRONMENT,
        num_envs=len(genomes),
        max_steps=domain.frames,
        frame_skip=domain.decision_interval,
        record_frames=True,
        autoreset_mode="Disabled",
    )
    decide = domain.network.policy(genomes)
    observations, _ = lanes.reset(options=ELSEWHERE)
    frames, over = [observations[:, None]], False
    while not over:
        observations, _, terminated, _, info = lanes.step(decide(observations))
        frames.append(info["frames"])
        over = terminated[0]
    lanes.close()
    return np.concatenate(frames, axis=1)[:, : domain.frames]


DOMAINS = {
    "recurrent-parity": (RecurrentParity(), FIGURE_1, parity_sets),
    "breadcrumb-hard-maze": (BreadcrumbHardMaze(), FIGURE_3, maze_sets),
}


@dataclass(frozen=True)
class Children(Computation):
    """All children of all parents.

    Attributes:
        parents: Genomes (N, P) for each domain and kind.
    """

    indent: ClassVar[int | None] = 1

    parents: dict[tuple[str, str], np.ndarray]

    def compute(self) -> dict[str, Any]:
        """Compute the ratios."""
        found: Ratios = {name: {kind: {} for kind in KINDS} for name in DOMAINS}
        cases = list(product(self.parents.items(), OPERATORS))
        for ((name, kind), genomes), one in tqdm(cases, desc="operators"):
            domain, _, sets_of = DOMAINS[name]
            seen, others = sets_of(domain, genomes, self.seed)
            for experiences, row in ratios(domain, one, genomes, seen, others, self.seed).items():
                found[name][kind].setdefault(experiences, {})[one.name] = row
        return {"ratios": found}

    def settings(self) -> dict[str, Any]:
        """What decides the outcome."""
        return {
            "seed": self.seed,
            "children": CHILDREN,
            "elsewhere": {name: value.tolist() for name, value in ELSEWHERE.items()},
            "parents": {
                f"{name}, {kind}": describe(genomes) for (name, kind), genomes in self.parents.items()
            },
            "operators": {one.name: one.options for one in OPERATORS},
        }


def ratios(
    domain: Domain, one: Setting, parents: np.ndarray, seen: np.ndarray, others: Sets, seed: int
) -> dict[str, list[float]]:
    """For each set of other experiences and each parent, how much more its children diverge there.

    Args:
        domain: Whose network the parents are.
        one: The operator.
        parents: Genomes (N, P).
        seen: Experiences (N, I, ...) that the operator is given.
        others: Further ones.
        seed: Of the mutations.

    Returns:
        For each parent the median over its children of the divergence there over that on what was seen; of
        parents whose children reach no such divergence, nothing.
    """
    operator: Any = make(one.method, domain.network, **one.options)
    found: dict[str, list[float]] = {name: [] for name in others}
    for n, parent in enumerate(parents):
        litter = np.repeat(parent[None], CHILDREN, axis=0)
        noise = [stream(seed, n, child, Purpose.ROBUSTNESS) for child in range(CHILDREN)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceNotReached)
            children, info = operator(litter, experiences=seen[n], generator=noise, return_info=True)
        reached = np.array([status == "converged" for status in info.status])
        for name, sets in others.items():
            there = divergences(domain, litter, children, sets[n])
            middle = np.median((there / info.divergence)[reached]) if reached.any() else np.nan
            found[name].append(float(f"{middle:.4g}"))
    return found


def divergences(
    domain: Domain, parents: np.ndarray, children: np.ndarray, experiences: np.ndarray
) -> np.ndarray:
    """Equation 1 (N,) of children on experiences (I, ...) that all share."""
    inputs = torch.from_numpy(np.ascontiguousarray(experiences)).expand(len(parents), *experiences.shape)
    both = torch.from_numpy(parents), torch.from_numpy(children)
    return sensitivity.divergence(domain.network, *both, inputs).numpy()


@dataclass(frozen=True)
class HeldOut(Study):
    """The ratios as box plots and as a table."""

    follows = frozenset({"runs"})

    def jobs(self, request: Request) -> list[Job]:
        """The children of all parents at once.

        Raises:
            ValueError: If a method's solutions are missing.
        """
        number = request.runs or PARENTS
        parents = {}
        for name, (domain, figure, _) in DOMAINS.items():
            parents[name, KINDS[0]] = solutions(figure, domain, request.results, number, request.seed)
            parents[name, KINDS[1]] = random_genomes(domain, number, request.seed)
        result, command = self._data(request.results), request.command(self.name)
        return [Children(result, request.seed, parents, command=command)]

    def draw(self, results: Path) -> None:
        """A panel for each kind of experiences and of parents."""
        if self._data(results).exists():
            draw(read_json(self._data(results))["ratios"], self.folder(results) / "ratios")

    def tables(self, results: Path) -> dict[str, str]:
        """Medians over the parents, and whether they differ from SM-R's."""
        data = self._data(results)
        return {"held-out": table(read_json(data)["ratios"])} if data.exists() else {}

    def _data(self, results: Path) -> Path:
        return self.folder(results) / "ratios.json"


def panels(found: Ratios) -> Iterator[tuple[str, str, str, dict[str, np.ndarray]]]:
    """Domain, kind of parents, kind of experiences, and the ratios (N,) of each operator."""
    for name, kinds in found.items():
        for kind, sets in kinds.items():
            for experiences, rows in sets.items():
                yield name, kind, experiences, {one: np.array(row, float) for one, row in rows.items()}


def table(found: Ratios) -> str:
    """Median ratios as a Markdown table, with Holm's p of Wilcoxon's signed-rank test against SM-R."""
    columns = list(panels(found))
    titles = [f"{experiences} ({name.split('-')[-1]}, {kind})" for name, kind, experiences, _ in columns]
    tests = [
        (one.name, number, paired(rows[one.name], rows[PLAIN]))
        for number, (*_, rows) in enumerate(columns)
        for one in OPERATORS[1:]
    ]
    corrected = holm([p for *_, p in tests])
    different = {(name, number) for (name, number, _), p in zip(tests, corrected, strict=True) if p < 0.05}
    body = []
    for one in OPERATORS:
        cells = [
            f"{np.nanmedian(rows[one.name]):.2f}" + ("*" if (one.name, number) in different else "")
            for number, (*_, rows) in enumerate(columns)
        ]
        body.append([one.method, f"{one.exponent:g}", *cells])
    return markdown_table(["operator", "exponent", *titles], body)


def paired(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Wilcoxon's signed-rank test over the parents that both have children of."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    return float(wilcoxon(ours[both], theirs[both]).pvalue)


def draw(found: Ratios, stem: Path) -> None:
    """Draw the box plots."""
    columns = list(panels(found))
    wide = (len(columns) + 1) // 2
    figure, axes = plt.subplots(2, wide, figsize=(3.6 * wide, 7), layout="constrained", sharey=True)
    for ax in axes.flat[len(columns) :]:
        ax.axis("off")
    for ax, (name, kind, experiences, rows) in zip(axes.flat, columns, strict=False):
        values = [row[np.isfinite(row)] for row in (rows[one.name] for one in OPERATORS)]
        boxes = ax.boxplot(values, showfliers=False, patch_artist=True, medianprops={"color": "black"})
        for box, one in zip(boxes["boxes"], OPERATORS, strict=True):
            box.set(facecolor=COLOURS[one.method], alpha=0.85 if one.exponent >= 1 else 0.4)
        ax.axhline(1, color="black", linewidth=0.6, linestyle=":")
        labels = [f"{one.method.removeprefix('SM-G-')} {one.exponent:g}" for one in OPERATORS]
        ax.set_xticks(range(1, len(labels) + 1), labels, rotation=60, fontsize=8)
        ax.set(yscale="log", ylim=(0.1, 10), title=f"{name}, {kind}:\n{experiences}")
        ax.title.set_fontsize(9)
        ax.grid(axis="y", alpha=0.25)
    for ax in axes[:, 0]:
        ax.set_ylabel("divergence there / on what was seen")
    save_figure(figure, stem)


HELD_OUT = HeldOut("beyond-held-out")
