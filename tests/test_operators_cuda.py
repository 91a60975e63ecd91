"""The operators on a GPU, where there is one."""

import copy
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from network_kinds import KINDS, Kind
from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SMGAbs, SMGRms, SMGSum
from safe_mutation.batched_network import BatchedNetwork
from safe_mutation.experiences import map_leaves

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

GPU = torch.device("cuda", 0)
MAKERS = {
    "control": lambda network: GaussianMutation(network, sigma=0.1),
    "control, divergence": lambda network: GaussianMutation(network, divergence=1e-3, tolerance=1e-3),
    "SM-G-SUM": lambda network: SMGSum(network, sigma=0.1),
    "SM-G-SUM, divergence": lambda network: SMGSum(network, divergence=1e-3, tolerance=1e-3),
    "SM-G-ABS": lambda network: SMGAbs(network, sigma=0.1),
    "SM-G-RMS": lambda network: SMGRms(network, sigma=0.1),
    "SM-G-RMS, exact": lambda network: SMGRms(network, sigma=0.1, probes=None),
    "SM-G-SO": lambda network: SMGSO(network, sigma=0.1),
    "SM-G-SO, divergence": lambda network: SMGSO(network, divergence=1e-3, tolerance=1e-3),
    "SM-R": lambda network: SMR(network, divergence=1e-3, tolerance=1e-3),
}


def on_gpu(experiences):
    return map_leaves(lambda x: x.to(GPU), experiences)


def exactly(op):
    """With a divergence that is met as closely as double precision lets it."""
    return op if op.divergence is None else replace(op, tolerance=1e-6)


def mlp(dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)


def case(number=4):
    network = FlatNetwork(mlp())
    generator = torch.Generator().manual_seed(1)
    parents = 0.5 * torch.randn(number, network.num_params, generator=generator)
    return network, parents, torch.randn(20, 3, generator=generator)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_children_are_those_of_the_processor(kind: Kind, name: str) -> None:
    op, parents = exactly(MAKERS[name](kind.network())), kind.genomes(3)
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    expected = op(parents, experiences=experiences, generator=[1, 2, 3])
    children = op(parents.to(GPU), experiences=on_gpu(experiences), generator=[1, 2, 3])
    assert children.device == GPU
    torch.testing.assert_close(children.cpu(), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(parents, kind.genomes(3))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_in_single_precision_children_are_near_those_of_the_processor(kind: Kind, name: str) -> None:
    op, parents = MAKERS[name](kind.network(dtype=torch.float32)), kind.genomes(3).float()
    experiences = kind.experiences(5, torch.Generator().manual_seed(0))
    experiences = map_leaves(lambda x: x.float() if x.is_floating_point() else x, experiences)
    expected = op(parents, experiences=experiences, generator=3) - parents
    steps = op(parents.to(GPU), experiences=on_gpu(experiences), generator=3).cpu() - parents
    assert steps.dtype == torch.float32
    apart = (steps - expected).abs() / expected.abs().clamp_min(1e-6)
    assert apart.median() < 1e-2  # a GPU rounds convolutions to 10 bits (TF32)
    assert apart.max() < 0.5


@pytest.mark.parametrize("name", MAKERS)
def test_experiences_go_to_the_parents_wherever_they_are(name: str) -> None:
    network, parents, experiences = case()
    op = MAKERS[name](network)
    there = op(parents.to(GPU), experiences=experiences.to(GPU), generator=3)
    for given in (experiences, experiences.numpy(), experiences.numpy()[::-1][::-1]):
        assert torch.equal(op(parents.to(GPU), experiences=given, generator=3), there)
    here = op(parents, experiences=experiences, generator=3)
    assert torch.equal(op(parents, experiences=experiences.to(GPU), generator=3), here)
    children = op(parents.numpy(), experiences=experiences.to(GPU), generator=3)
    assert isinstance(children, np.ndarray)
    np.testing.assert_array_equal(children, here)


@pytest.mark.parametrize("name", MAKERS)
def test_a_child_is_the_same_alone_and_among_others(name: str) -> None:
    network, parents, experiences = case()
    op, parents = exactly(MAKERS[name](network)), parents.double().to(GPU)
    together = op(parents, experiences=experiences, generator=[1, 2, 3, 4])
    for n, parent in enumerate(parents):
        alone = op(parent, experiences=experiences, generator=[n + 1])
        torch.testing.assert_close(alone, together[n], rtol=1e-6, atol=1e-8)
    own = torch.stack([experiences] * 4)
    torch.testing.assert_close(
        op(parents, experiences=own, per_parent=True, generator=[1, 2, 3, 4]), together
    )


@pytest.mark.parametrize("name", MAKERS)
def test_a_module_on_the_gpu_is_mutated_in_place(name: str) -> None:
    network, _, experiences = case()
    module = mlp().to(GPU)
    expected = MAKERS[name](network)(network.flatten(module), experiences=experiences, generator=3)
    op = MAKERS[name](FlatNetwork(module))
    same, info = op.mutate_(module, experiences=experiences, generator=3, return_info=True)
    assert same is module
    assert info.divergence > 0
    assert all(p.device == GPU and p.requires_grad and p.grad is None for p in module.parameters())
    torch.testing.assert_close(network.flatten(module), expected)
    # The operator's own copy serves modules of both devices.
    op.mutate_(mlp(), experiences=experiences, generator=3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", MAKERS)
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    network, _, experiences = case()
    module = mlp(dtype).to(GPU)
    op = MAKERS[name](network)
    if op.divergence is not None:
        op = replace(op, tolerance=0.1)
    before = network.flatten(module)
    expected = op(before.float(), experiences=experiences, generator=3)
    op.mutate_(module, experiences=experiences, generator=3)
    after = network.flatten(module)
    assert after.dtype == dtype and not torch.equal(after, before)
    if op.divergence is None:
        assert torch.equal(after, expected.to(dtype))
    children = op(before, experiences=experiences.to(GPU, dtype), generator=3)
    assert children.dtype == dtype and children.device == GPU


def test_a_generator_on_the_gpu_draws_there() -> None:
    parents = torch.zeros(3, 1000, device=GPU)
    op = GaussianMutation(sigma=1.0)
    first = op(parents, generator=torch.Generator(GPU).manual_seed(1))
    assert first.is_cuda
    assert abs(float(first.std()) - 1) < 0.1
    assert torch.equal(first, op(parents, generator=torch.Generator(GPU).manual_seed(1)))
    assert torch.equal(first.cpu(), op(parents.cpu(), generator=torch.Generator(GPU).manual_seed(1)))
    moved_on = torch.Generator(GPU).manual_seed(1)
    op(parents, generator=moved_on)
    assert not torch.equal(first, op(parents, generator=moved_on))


@pytest.mark.parametrize("name", MAKERS)
def test_any_generator_for_genomes_on_the_gpu(name: str) -> None:
    network, parents, experiences = case()
    op = MAKERS[name](network)
    makers = [
        lambda: torch.Generator(GPU).manual_seed(7),
        lambda: torch.Generator().manual_seed(7),
        lambda: np.random.default_rng(7),
        lambda: 7,
        lambda: [torch.Generator(GPU).manual_seed(n) for n in range(4)],
        lambda: [torch.Generator(GPU).manual_seed(1), 2, np.random.default_rng(3), torch.Generator()],
    ]
    for make in makers:
        first, second = (op(parents.to(GPU), experiences=experiences, generator=make()) for _ in range(2))
        assert torch.equal(first, second)
    own = replace(op, generator=torch.Generator(GPU).manual_seed(7))
    expected = op(parents.to(GPU), experiences=experiences, generator=makers[0]())
    assert torch.equal(own(parents.to(GPU), experiences=experiences), expected)
    assert not torch.equal(own(parents.to(GPU), experiences=experiences), expected)


@pytest.mark.parametrize("make", [SMGSum, SMGAbs, SMGRms])
def test_sensitivities_stay_on_the_gpu_and_serve_again(make) -> None:
    network, parents, experiences = case()
    op, parents = make(network, sigma=0.1), parents.to(GPU)
    generator = torch.Generator(GPU).manual_seed(1)
    measured = op.sensitivity(parents, experiences=experiences, generator=generator)
    assert measured.device == GPU and measured.shape == parents.shape
    expected = op(parents, experiences=experiences, generator=generator)
    for given in (measured, measured.cpu(), measured.cpu().numpy()):
        again = torch.Generator(GPU).manual_seed(1)
        assert torch.equal(op(parents, sensitivity=given, generator=again), expected)


@pytest.mark.parametrize("make", [GaussianMutation, SMGSum, SMGSO])
def test_calibration_on_the_gpu_finds_the_processors_sigma(make) -> None:
    network, parents, experiences = case(50)
    op = make(network, sigma=1.0)
    arguments = {"experiences": experiences, "divergence": 0.01, "generator": 1}
    there, here = op.calibrate(parents.to(GPU), **arguments), op.calibrate(parents, **arguments)
    assert there.sigma == pytest.approx(here.sigma, rel=0.02)


def test_masks_and_details_on_the_gpu() -> None:
    network, parents, experiences = case()
    mask = network.mask("0.*")
    op = SMGSum(network, sigma=0.1, mask=mask)
    for given in (parents.to(GPU), parents.to(GPU)[0]):
        children, info = op(given, experiences=experiences, generator=3, return_info=True)
        assert torch.equal(children[..., ~mask], given[..., ~mask])
        assert (children[..., mask] != given[..., mask]).all()
        assert info.sensitivity.device == GPU
        assert info.sensitivity.shape == given.shape


@pytest.mark.parametrize("name", MAKERS)
def test_experiences_of_different_length(name: str) -> None:
    [kind] = [kind for kind in KINDS if kind.name == "nn.GRU"]
    op, parents = exactly(MAKERS[name](kind.network())), kind.genomes(3)
    generator = torch.Generator().manual_seed(0)
    experiences = [
        torch.randn(length, 2, generator=generator, dtype=torch.float64) for length in (2, 3, 3, 5)
    ]
    expected = op(parents, experiences=experiences, generator=[1, 2, 3])
    for given in (experiences, [x.to(GPU) for x in experiences]):
        children = op(parents.to(GPU), experiences=given, generator=[1, 2, 3])
        torch.testing.assert_close(children.cpu(), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", MAKERS)
def test_double_precision_gives_the_children_of_the_processor(name: str) -> None:
    network, parents, experiences = case(50)
    op = replace(MAKERS[name](network), precision="float64")
    there = op(parents.to(GPU), experiences=experiences, generator=3).cpu()
    here = op(parents, experiences=experiences, generator=3)
    assert there.dtype == torch.float32
    assert (there != here).double().mean() < 1e-3


def test_threads_share_an_operator() -> None:
    network, parents, experiences = case()
    parents, experiences = parents.to(GPU), experiences.to(GPU)
    ops = [make(network) for make in MAKERS.values()]
    torch.cuda.synchronize()
    expected = [op(parents, experiences=experiences, generator=3) for op in ops]
    fresh = [make(FlatNetwork(mlp())) for make in MAKERS.values()]
    failures = []

    def work(thread: int) -> None:
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                for turn in range(6):
                    n = (thread + turn) % len(ops)
                    child = fresh[n](parents, experiences=experiences, generator=3)
                    torch.testing.assert_close(child, expected[n], rtol=1e-5, atol=1e-7)
                torch.cuda.current_stream().synchronize()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("name", MAKERS)
def test_an_operator_used_on_the_gpu_travels_and_serves_the_processor(name: str) -> None:
    network, parents, experiences = case()
    module = mlp().to(GPU)
    op = MAKERS[name](FlatNetwork(module))
    expected = op(parents.to(GPU), experiences=experiences, generator=3)
    again = pickle.loads(pickle.dumps(op))
    assert torch.equal(again(parents.to(GPU), experiences=experiences, generator=3), expected)
    assert torch.equal(copy.deepcopy(op)(parents.to(GPU), experiences=experiences, generator=3), expected)
    here = MAKERS[name](network)(parents, experiences=experiences, generator=3)
    torch.testing.assert_close(op(parents, experiences=experiences, generator=3), here)
    np.testing.assert_allclose(op(parents.numpy(), experiences=experiences, generator=3), here, rtol=1e-5)


def test_finding_out_leaves_random_numbers_of_the_gpu_as_they_were() -> None:
    _, parents, experiences = case()

    def noisy(params, inputs):  # one call in eight is another
        chance = torch.rand(1, device=params.device)
        return inputs @ params[:, :6].view(-1, 3, 2) + (chance > 0.875)

    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state(GPU)
    stacked = torch.stack([experiences] * 4).to(GPU)
    with pytest.raises(ValueError, match="expected outputs"):
        for _ in range(100):
            BatchedNetwork(noisy).prepare(parents.to(GPU), stacked)
            torch.rand(1, device=GPU)
            before = torch.cuda.get_rng_state(GPU)
    assert torch.equal(torch.cuda.get_rng_state(GPU), before)


def test_a_module_on_two_devices_is_refused() -> None:
    network, _, experiences = case()
    module = mlp()
    module[0].to(GPU)
    before = [p.detach().clone() for p in module.parameters()]
    for call in (
        lambda: SMGSum(network, sigma=0.1).mutate_(module, experiences=experiences, generator=3),
        lambda: GaussianMutation(sigma=0.1).mutate_(module, generator=3),
        lambda: FlatNetwork(module).flatten(),
    ):
        with pytest.raises(ValueError, match=r"expected parameters on one device, got '0\.weight' on cuda:0"):
            call()
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_too_little_memory_names_what_to_lower_and_is_not_remembered() -> None:
    network, parents, experiences = case()
    greedy = [True]

    def function(params, inputs):
        if greedy[0] and len(params) > 2:  # a copy of one for each output
            torch.empty(2**50, dtype=torch.uint8, device=params.device)
        return network(params, inputs)

    function.num_params = network.num_params  # type: ignore[attr-defined]
    op = SMGSum(function, sigma=0.1)
    with pytest.raises(torch.OutOfMemoryError, match="pass a smaller chunk_size"):
        op(parents.to(GPU), experiences=experiences, generator=3)
    one_by_one = replace(op, chunk_size=1)(parents.to(GPU), experiences=experiences, generator=3)
    greedy[0] = False
    together = op(parents.to(GPU), experiences=experiences, generator=3)
    torch.testing.assert_close(one_by_one, together)


def test_a_network_that_insists_on_another_device_is_refused() -> None:
    network, parents, experiences = case()

    def here(params, inputs):
        return inputs.cpu() @ params[:, :6].view(-1, 3, 2)

    here.num_params = network.num_params  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="expected a network that can take genomes"):
        SMGSum(here, sigma=0.1)(parents.to(GPU), experiences=experiences, generator=3)
