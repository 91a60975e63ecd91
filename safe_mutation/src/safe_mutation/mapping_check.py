"""Whether torch maps gradients over experiences rightly: its own rules are not beyond doubt."""

from __future__ import annotations

import torch
from torch import Tensor

from safe_mutation.experiences import Experiences, count, map_leaves, take
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import differentiable, run

FEW = 2  # outputs to compare


def maps_rightly(network: FlatNetwork, params: Tensor, inputs: Experiences, gradients: int) -> bool:
    """Whether gradients mapped over experiences are those of a backward pass for each.

    A rule of torch can take the axis of experiences for that of outputs where both are equally long, and be
    right elsewhere (that of ``prelu`` does). So two outputs are compared over two experiences and over three,
    with the parent's weights and with random ones, as gradients may vanish.

    Args:
        network: See ``network.py``.
        params: One parent (P,).
        inputs: Experiences (I, ...), at least two.
        gradients: How many are computed at once.
    """

    def outputs_of_one(genome: Tensor, experience: Experiences) -> Tensor:
        return run(network, genome[None], map_leaves(lambda x: x[None, None], experience)).flatten()

    if gradients < 2 * len(outputs_of_one(params.detach(), take(inputs, 0))):
        return True  # one experience after the other: of a large network there is no room for more
    jacobian = torch.vmap(torch.func.jacrev(lambda *given: outputs_of_one(*given)[:FEW]), in_dims=(None, 0))
    drawn = torch.randn(params.shape, generator=torch.Generator().manual_seed(0), dtype=params.dtype)
    for genome in (params.detach(), 0.3 * drawn.to(params)):
        singles = [_gradients_of_one(network, genome, take(inputs, n)) for n in range(min(3, count(inputs)))]
        right = torch.stack(singles)
        close = 0.001 * float(right.nan_to_num().abs().amax())
        for number in range(right.shape[1], len(right) + 1):
            found = jacobian(genome, take(inputs, slice(number)))
            if not torch.allclose(found, right[:number], rtol=0.01, atol=close, equal_nan=True):
                return False
    return True


def _gradients_of_one(network: FlatNetwork, genome: Tensor, experience: Experiences) -> Tensor:
    """The gradients (2, P) of the first two outputs for one experience; (1, P) where there is one output."""
    with torch.enable_grad():
        leaf = genome.detach().requires_grad_()
        outputs = run(network, leaf[None], map_leaves(lambda x: x[None, None], experience))
        outputs = differentiable(outputs).flatten()[:FEW]
    found = [torch.autograd.grad(output, leaf, retain_graph=True)[0] for output in outputs]
    return torch.stack(found)
