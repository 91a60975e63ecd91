"""How far children's behaviour differs from their parents', on five networks with nothing tuned.

    python benchmarks/calibration.py table      # with one sigma for all, and with divergence=0.01
    python benchmarks/calibration.py cost       # processor time against that with sigma, taken in turns

The first prints a table of the safe_mutation README, the second one of benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from safe_mutation import FlatNetwork, Mutation, MutationInfo, make
from safe_mutation.operators import OPERATORS

SIGMA, DIVERGENCE = 0.1, 0.01
CHILDREN = 20


def perceptron() -> tuple[nn.Module, Tensor]:
    """One hidden layer, as in the README, on random numbers in [0, 1)."""
    return nn.Sequential(nn.Linear(11, 16), nn.Tanh(), nn.Linear(16, 2)), torch.rand(100, 11)


def deep_perceptron() -> tuple[nn.Module, Tensor]:
    """Eight layers of 64 ReLU, initialised as reinforcement learning does: orthogonal, gain sqrt(2)."""
    layers: list[nn.Module] = [nn.Linear(16, 64), nn.ReLU()]
    for _ in range(7):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    module = nn.Sequential(*layers, nn.Linear(64, 4))
    for layer in module:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, 2**0.5)
            nn.init.zeros_(layer.bias)
    return module, torch.randn(100, 16)


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation, around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (I, channels, H, W) to the same."""
        return torch.relu(x + self.layers(x))


def residual_network() -> tuple[nn.Module, Tensor]:
    """A small ResNet after 25 steps of Adam on random labels, in eval mode."""
    start = [nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    module = nn.Sequential(*start, *(ResidualBlock(16) for _ in range(3)), *end)
    pictures, labels = torch.randn(64, 3, 16, 16), torch.randint(10, (64,))
    optimiser = torch.optim.Adam(module.parameters(), 1e-3)
    for _ in range(25):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(pictures), labels).backward()
        optimiser.step()
    return module.eval(), pictures[:32]


class Transformer(nn.Module):
    """Two encoder layers; the mean over a sequence's tokens decides."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (I, T, 32) to outputs (I, 4)."""
        return self.head(self.encoder(x).mean(1))


class Recurrent(nn.Module):
    """A GRU over a sequence; its last state decides."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (I, T, 8) to outputs (I, 2)."""
        return self.head(self.layer(x)[0][:, -1])


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "MLP 11-16-2": perceptron,
    "8 x 64 ReLU, orthogonal": deep_perceptron,
    "small ResNet, 25 Adam steps": residual_network,
    "transformer, 2 layers": lambda: (Transformer().eval(), torch.randn(32, 10, 32)),
    "GRU": lambda: (Recurrent(), torch.randn(32, 20, 8)),
}


def networks() -> dict[str, tuple[FlatNetwork, Tensor]]:
    """Every network and its experiences, the same each time."""
    made = {}
    for name, make_one in NETWORKS.items():
        torch.manual_seed(0)
        module, experiences = make_one()
        made[name] = FlatNetwork(module), experiences
    return made


def table(children: int) -> None:
    """Print the median divergence with sigma, and with a divergence how well and how soon it is met."""
    print(f"| network | | {' | '.join(OPERATORS)} |")
    print("|---" * (len(OPERATORS) + 2) + "|")
    within, passes = [], []
    for name, (network, experiences) in networks().items():
        untuned, met = [], []
        for operator in OPERATORS:
            # SM-R has no sigma.
            if operator != "SM-R":
                infos = mutate(make(operator, network, intensity=SIGMA), experiences, children)
                untuned.append(f"{statistics.median(info.divergence for info in infos):.2g}")
            else:
                untuned.append("-")
            infos = mutate(
                make(operator, network, divergence=DIVERGENCE, tolerance=0.1), experiences, children
            )
            reached = [abs(info.divergence / DIVERGENCE - 1) <= 0.1 for info in infos]
            assert all(hit == (info.status == "converged") for hit, info in zip(reached, infos, strict=True))
            took = statistics.median(info.forward_passes or 0 for info in infos)
            met.append(f"{statistics.median(info.divergence for info in infos):.2g} ({took:g})")
            within += reached
            passes += [info.forward_passes or 0 for info in infos]
        print(f"| {name} | sigma = {SIGMA:g} | {' | '.join(untuned)} |")
        print(f"| | divergence = {DIVERGENCE:g} (passes) | {' | '.join(met)} |")
    print(
        f"\n{sum(within)} of {len(within)} children within 10 % of the divergence; "
        f"{statistics.median(passes):g} forward passes in the median, at most {max(passes)}, "
        "the parent's own included."
    )


def mutate(op: Mutation, experiences: Tensor, children: int) -> list[MutationInfo]:
    """What is reported of so many children of the network itself."""
    parent = op.network.flatten()
    seeds = range(children)
    return [op(parent, experiences=experiences, generator=seed, return_info=True)[1] for seed in seeds]


def cost(repeats: int) -> None:
    """Print processor time per child with a divergence, and in double precision, against that with sigma."""
    print(f"| network | | {' | '.join(OPERATORS)} |")
    print("|---" * (len(OPERATORS) + 2) + "|")
    for name, (network, experiences) in networks().items():
        ratios: dict[str, list[str]] = {"divergence / sigma": [], "double / single precision": []}
        for operator in OPERATORS:
            strength: dict[str, Any] = (
                {"divergence": DIVERGENCE} if operator == "SM-R" else {"sigma": SIGMA / 100}
            )
            ways = (
                make(operator, network, **strength),
                make(operator, network, divergence=DIVERGENCE),
                make(operator, network, precision="float64", **strength),
            )
            plain, search, double = in_turns(ways, experiences, repeats)
            ratios["divergence / sigma"].append("-" if operator == "SM-R" else f"{search / plain:.1f}x")
            ratios["double / single precision"].append(f"{double / plain:.1f}x")
        for title, row in ratios.items():
            print(f"| {name if title.startswith('div') else ''} | {title} | {' | '.join(row)} |")


def in_turns(ways: tuple[Mutation, ...], experiences: Tensor, repeats: int) -> list[float]:
    """Median seconds of processor time of a call, the operators taking turns."""
    times: list[list[float]] = [[] for _ in ways]
    for seed in range(repeats + 1):  # the first finds out how the network is computed
        for op, taken in zip(ways, times, strict=True):
            begin = time.process_time()
            op(op.network.flatten(), experiences=experiences, generator=seed)
            taken.append(time.process_time() - begin)
    return [statistics.median(taken[1:]) for taken in times]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("table", "cost"))
    parser.add_argument("--children", type=int, default=CHILDREN, help="per operator (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # children that miss their divergence are in the table
        (table if options.what == "table" else cost)(options.children)


if __name__ == "__main__":
    main()
