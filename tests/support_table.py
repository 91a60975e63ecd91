"""What works with which operator, found out by trying: the table in safe_mutation/README.md.

python tests/support_table.py          # prints the table
"""

from __future__ import annotations

from pathlib import Path

import torch

from network_kinds import KINDS, Kind, naive_jacobian
from safe_mutation import SMGSO, SMR, GaussianMutation, SMGAbs, SMGSum
from safe_mutation.batched_network import planned
from safe_mutation.experiences import map_leaves
from unusual_kinds import UNUSUAL

ROWS = [*KINDS, *UNUSUAL]
README = Path(__file__).parents[1] / "safe_mutation" / "README.md"
HEADER = "| kind of network | N parents | SM-G-SUM | SM-G-ABS | SM-G-SO | SM-R |\n|---|---|---|---|---|---|"
BATCHING = {
    "stacked": "at once, stacked",
    "mapped": "at once, mapped",
    "looped": "one after the other",
    "by the network": "at once",
}
ROW_SUMS = {
    "linear layers": "as fast as SUM",
    "linear layers, one parent at a time": "as fast as SUM",
    "mapped": "mapped over experiences",
    "backward mapped": "backward mapped",
    "one by one": "one experience at a time",
    "copies": "a copy per experience",
}
TANGENT = {
    "forward mode": "exact, forward mode",
    "forward mode, plain kernels": "exact, forward mode, plain kernels",
    "double backward": "exact, two backward passes",
    "central difference": "approximate",
}


def table() -> str:
    """The table as Markdown, in single precision, as most people evolve."""
    return "\n".join([HEADER, *map(row, ROWS)])


def row(kind: Kind) -> str:
    """One kind of network: each operator is run and checked, then asked which way it took."""
    network = planned(kind.network(dtype=torch.float32))
    parents = kind.genomes(3).float()
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    single = map_leaves(lambda x: x.float() if x.is_floating_point() else x, experiences)
    right = kind.network(dtype=kind.precision)
    precise = experiences if kind.precision == torch.float64 else single
    exact = torch.stack([naive_jacobian(right, w.to(kind.precision), precise).double() for w in parents])
    sums = exact.sum(1).square().sum(1).sqrt()
    means = exact.abs().mean(1).square().sum(1).sqrt()
    _, info = SMGSO(network, sigma=0.1)(parents, experiences=single, generator=1, return_info=True)
    delta = GaussianMutation(sigma=0.1)(torch.zeros_like(parents), generator=1).double()
    rows = exact.flatten(1, 2)
    product = 2 / exact.shape[1] * torch.einsum("nrp,nrq,nq->np", rows, rows, delta)
    found_sums = SMGSum(network, sigma=0.1).sensitivity(parents, experiences=single)
    found_means = SMGAbs(network, sigma=0.1).sensitivity(parents, experiences=single)
    plan = network.plans.latest
    cells = [
        kind.name,
        BATCHING[plan.batching],
        verdict(found_sums, sums, "yes"),
        verdict(found_means, means, ROW_SUMS[plan.row_sums]),
        verdict(info.sensitivity.square(), product.abs(), TANGENT[plan.tangent]),
    ]
    _, info = SMR(network, divergence=1e-3)(parents, experiences=single, generator=1, return_info=True)
    cells.append("yes" if info.status == ["converged"] * 3 else "no")
    return f"| {' | '.join(cells)} |"


def verdict(measured: torch.Tensor, expected: torch.Tensor, way: str) -> str:
    """The way, if the result is right to single precision."""
    worst = (measured.double() - expected).abs().max() / expected.abs().max()
    return way if worst < 1e-4 else "no"


if __name__ == "__main__":
    print(table())
