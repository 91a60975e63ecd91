"""The operators on a GPU, where there is one."""

import numpy as np
import pytest
import torch

from network_kinds import KINDS, Kind
from safe_mutation import SMGSO, SMR, GaussianMutation, SMGAbs, SMGSum
from safe_mutation.experiences import map_leaves

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_children_are_those_of_the_processor(kind: Kind) -> None:
    network, parents = kind.network(), kind.genomes(3)
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    on_gpu = map_leaves(lambda x: x.cuda(), experiences)
    for op in (
        GaussianMutation(sigma=0.1),
        SMGSum(network, sigma=0.1),
        SMGAbs(network, sigma=0.1),
        SMGSO(network, sigma=0.1),
        SMR(network, divergence=1e-3, tolerance=1e-6),
    ):
        expected = op(parents, experiences=experiences, generator=[1, 2, 3])
        children = op(parents.cuda(), experiences=on_gpu, generator=[1, 2, 3])
        assert children.is_cuda
        torch.testing.assert_close(children.cpu(), expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(parents, kind.genomes(3))


def test_a_generator_on_the_gpu_draws_there() -> None:
    parents = torch.zeros(3, 1000, device="cuda")
    op = GaussianMutation(sigma=1.0)
    first = op(parents, generator=torch.Generator("cuda").manual_seed(1))
    assert first.is_cuda
    assert abs(float(first.std()) - 1) < 0.1
    assert torch.equal(first, op(parents, generator=torch.Generator("cuda").manual_seed(1)))
