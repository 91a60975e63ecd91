"""What works with which operator, found out by trying: the table in safe_mutation/README.md.

python tests/support_table.py          # prints the table
"""

from __future__ import annotations

from pathlib import Path

import torch

from network_kinds import KINDS, Kind, naive_jacobian
from safe_mutation import (
    SMGSO,
    SMR,
    FlatNetwork,
    GaussianMutation,
    SMGAbs,
    SMGSum,
    linear_shortcut,
    per_experience,
    tangent,
)
from safe_mutation.experiences import map_leaves

README = Path(__file__).parents[1] / "safe_mutation" / "README.md"
HEADER = "| kind of network | N parents | SM-G-SUM | SM-G-ABS | SM-G-SO | SM-R |\n|---|---|---|---|---|---|"
ABS = {
    "mapped": "mapped over experiences",
    "backward_mapped": "backward mapped",
    "one_by_one": "one experience at a time",
}
SO = {
    "forward_mode": "exact, forward mode",
    "forward_mode_of_plain_kernels": "exact, forward mode, plain kernels",
    "double_backward": "exact, two backward passes",
    "central_difference": "approximate",
}


def table() -> str:
    """The table as Markdown, in single precision, as most people evolve."""
    return "\n".join([HEADER, *(row(kind) for kind in KINDS)])


def row(kind: Kind) -> str:
    """One kind of network: each operator is run and checked, then asked which way it took."""
    network = kind.network(dtype=torch.float32)
    parents = kind.genomes(3).float()
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    single = map_leaves(lambda x: x.float() if x.is_floating_point() else x, experiences)
    exact = torch.stack([naive_jacobian(kind.network(), w.double(), experiences) for w in parents])
    sums = exact.sum(1).square().sum(1).sqrt()
    means = exact.abs().mean(1).square().sum(1).sqrt()
    _, info = SMGSO(network, sigma=0.1)(parents, experiences=single, generator=1, return_info=True)
    delta = GaussianMutation(sigma=0.1)(torch.zeros_like(parents), generator=1).double()
    rows = exact.flatten(1, 2)
    product = 2 / exact.shape[1] * torch.einsum("nrp,nrq,nq->np", rows, rows, delta)
    found_sums = SMGSum(network, sigma=0.1).sensitivity(parents, experiences=single)
    found_means = SMGAbs(network, sigma=0.1).sensitivity(parents, experiences=single)
    so_way = SO[tangent.METHODS[tangent._remembered(network)].__name__]
    cells = [
        kind.name,
        "one after the other" if getattr(network, "loops", False) else "at once",
        verdict(found_sums, sums, "yes"),
        verdict(found_means, means, abs_way(network, parents, single)),
        verdict(info.sensitivity.square(), product.abs(), so_way),
    ]
    _, info = SMR(network, divergence=1e-3)(parents, experiences=single, generator=1, return_info=True)
    cells.append("yes" if info.status == ["converged"] * 3 else "no")
    return f"| {' | '.join(cells)} |"


def abs_way(network: object, parents: torch.Tensor, experiences: object) -> str:
    """How SM-G-ABS gets its gradients."""
    inputs = map_leaves(lambda x: x.expand(len(parents), *x.shape), experiences)
    if linear_shortcut.is_exact(network, parents, inputs):  # type: ignore[arg-type]
        return "as fast as SUM"
    if isinstance(network, FlatNetwork):
        per_experience.power_mean(network, parents, inputs, 1, None)
        return ABS[per_experience.METHODS[per_experience._first_method.get(network, 0)].__name__]
    return "a copy per experience"


def verdict(measured: torch.Tensor, expected: torch.Tensor, way: str) -> str:
    """The way, if the result is right to single precision."""
    worst = (measured.double() - expected).abs().max() / expected.abs().max()
    return way if worst < 1e-4 else "no"


if __name__ == "__main__":
    print(table())
