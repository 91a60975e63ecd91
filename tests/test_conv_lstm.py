"""The compiled pixel networks against torch's own layers with the same weights, in float64."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from evolution.networks import conv_lstm_gradients
from evolution.networks.conv_lstm import CompiledConvLSTM, ConvLSTM, first_person_network, topdown_network
from evolution.networks.film import film
from evolution.networks.picture_gradients import PicturePass
from safe_mutation import SMGSO, FlatNetwork, SMGAbs, SMGSum, sensitivity

GENERATOR = np.random.default_rng(0)


def pictures_of(networks, steps, distinct, sequences=1):
    """Sequences (networks, sequences, steps, 64, 64) of a few distinct pictures, in any order."""
    pictures = GENERATOR.integers(0, 256, (distinct, 64, 64)).astype(np.uint8)
    return torch.from_numpy(pictures[GENERATOR.integers(0, distinct, (networks, sequences, steps))])


def reference(depth):
    return FlatNetwork(ConvLSTM(depth).double())


def genomes_and_pictures(network, depth, number, **pictures):
    """With no unit so close to zero, where SELU's slope jumps, that float32 may take the other slope."""
    while True:
        genomes, seen = network.initial_genomes(number, GENERATOR), pictures_of(number, **pictures)
        if all(nearest_to_zero(depth, *one) > 1e-6 for one in zip(genomes, seen, strict=True)):
            return torch.from_numpy(genomes), seen


@torch.no_grad()
def nearest_to_zero(depth, genome, pictures):
    module, nearest = ConvLSTM(depth).double(), []
    nn.utils.vector_to_parameters(torch.from_numpy(genome).double(), module.parameters())
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, sums: nearest.append(sums.abs().min().item()))
    module(pictures)
    return min(nearest)


def assert_equal_up_to_rounding(ours, exact, tolerance=1e-5):
    assert (ours - exact).abs().max() < tolerance * exact.abs().max()


@pytest.mark.parametrize(
    ("network", "depth", "weights"), [(topdown_network(), 12, 25_805), (first_person_network(), 8, 20_573)]
)
def test_has_the_papers_number_of_weights_and_agrees_with_the_module(network, depth, weights):
    assert network.num_params == weights == sum(p.numel() for p in ConvLSTM(depth).parameters())
    genomes = torch.from_numpy(network.initial_genomes(2, GENERATOR))
    pictures = pictures_of(2, steps=15, distinct=6, sequences=2)
    outputs = network(genomes, pictures)
    assert outputs.shape == (2, 2, 15, 5) and outputs.dtype == torch.float32
    assert_equal_up_to_rounding(outputs, reference(depth)(genomes.double(), pictures))


@pytest.mark.parametrize("depth", [12, 8, 0])
def test_sensitivities_are_those_of_the_module(depth):
    network, exact = CompiledConvLSTM(depth), reference(depth)
    genomes, pictures = genomes_and_pictures(network, depth, 2, steps=6, distinct=3)
    direction = torch.randn(genomes.shape, generator=torch.Generator().manual_seed(1))
    assert_equal_up_to_rounding(
        sensitivity.summed(network, genomes, pictures), sensitivity.summed(exact, genomes.double(), pictures)
    )
    assert_equal_up_to_rounding(
        sensitivity.absolute(network, genomes, pictures[:, :, :3]),
        sensitivity.absolute(exact, genomes.double(), pictures[:, :, :3]),
    )
    assert_equal_up_to_rounding(  # squared: H v itself, as the root magnifies rounding where it vanishes
        sensitivity.second_order(network, genomes, pictures, direction).square(),
        sensitivity.second_order(exact, genomes.double(), pictures, direction.double()).square(),
    )


def test_every_weight_has_its_own_gradient():
    """Element by element, so that no small gradient hides behind a large one."""
    network, exact = CompiledConvLSTM(2), reference(2)
    genomes, pictures = genomes_and_pictures(network, 2, 1, steps=4, distinct=2)
    cotangents = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(1))
    gradients = []
    for function, leaf in ((network, genomes.clone()), (exact, genomes.double())):
        leaf.requires_grad_()
        gradients += torch.autograd.grad(function(leaf, pictures), leaf, cotangents.to(leaf.dtype))
    ours, expected = gradients
    assert (expected != 0).double().mean() > 0.99
    torch.testing.assert_close(ours.double(), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("steps", [(4, 4), (4, 3)], ids=["films of one length", "of two"])
def test_convolutions_of_the_same_are_computed_once_for_all_derivatives(steps, monkeypatch):
    made = []
    monkeypatch.setattr(
        conv_lstm_gradients, "PicturePass", lambda *args: made.append(args) or PicturePass(*args)
    )
    network = CompiledConvLSTM(1)
    genomes = network.initial_genomes(2, GENERATOR)
    pictures = [pictures_of(1, steps=number, distinct=3)[0] for number in steps]
    op = SMGSO(network, sigma=0.01)
    children = op(genomes, experiences=pictures, per_parent=True, generator=[1, 2])
    del made[:]  # some for finding out how the network is differentiated
    again = op(genomes, experiences=pictures, per_parent=True, generator=[1, 2])
    assert len(made) == 2
    np.testing.assert_array_equal(again, children)


@pytest.mark.parametrize("changed", ["genomes", "pictures", "order"])
def test_what_was_changed_in_place_is_computed_anew(changed):
    genomes = torch.from_numpy(CompiledConvLSTM(1).initial_genomes(2, GENERATOR))
    pictures = torch.from_numpy(GENERATOR.integers(0, 256, (2, 1, 3, 64, 64)).astype(np.uint8))
    inputs = {"genomes": genomes, "pictures": pictures, "order": torch.tensor([[[0, 1]], [[2, 1]]])}
    before = conv_lstm_gradients.CompiledPasses.of(depth=1, **inputs)
    assert conv_lstm_gradients.CompiledPasses.of(depth=1, **inputs) is before
    inputs[changed].copy_(inputs[changed].flip(0))
    after = conv_lstm_gradients.CompiledPasses.of(depth=1, **inputs)
    assert after is not before and not np.array_equal(after.outputs, before.outputs)
    np.testing.assert_array_equal(
        after.outputs, conv_lstm_gradients.CompiledPasses(depth=1, **inputs).outputs
    )


@pytest.mark.parametrize("operator", [SMGSum, SMGSO, SMGAbs])
def test_operators_take_it_as_any_network(operator):
    network = CompiledConvLSTM(1)
    genomes = network.initial_genomes(3, GENERATOR)
    pictures = pictures_of(3, steps=2, distinct=2).numpy()
    before = genomes.copy()
    op = operator(network, sigma=0.01)
    children = op(genomes, experiences=pictures, per_parent=True, generator=[1, 2, 3])
    np.testing.assert_array_equal(genomes, before)
    assert np.isfinite(children).all() and (children != genomes).mean() > 0.99
    for n in range(3):
        alone = op(genomes[n], experiences=pictures[n], generator=n + 1)
        np.testing.assert_array_equal(children[n], alone)


def test_decisions_are_the_outputs_of_the_sequence_seen():
    network = CompiledConvLSTM(3)
    genomes = network.initial_genomes(4, GENERATOR)
    pictures = pictures_of(4, steps=12, distinct=5)
    decide = network.policy(genomes)
    decisions = np.stack([decide(pictures[:, 0, t].numpy()) for t in range(12)], axis=1)
    np.testing.assert_array_equal(decisions, network(torch.from_numpy(genomes), pictures)[:, 0])


def test_a_policy_keeps_what_it_has_seen_as_a_film_without_repetitions():
    network = CompiledConvLSTM(1)
    genomes = network.initial_genomes(2, GENERATOR)
    decide = network.policy(genomes)
    pictures = pictures_of(2, steps=30, distinct=4)[:, 0].numpy()
    for step in range(30):
        decide(pictures[:, step])
    for n in range(2):
        for steps in (30, 2):
            film = decide.film(n, steps)
            assert len(film["pictures"]) == len(np.unique(pictures[n, :steps], axis=0))
            np.testing.assert_array_equal(film["pictures"][film["order"]], pictures[n, :steps])


def test_a_film_gives_what_its_pictures_give():
    network = CompiledConvLSTM(1)
    genomes = torch.from_numpy(network.initial_genomes(2, GENERATOR))
    pictures = torch.from_numpy(GENERATOR.integers(0, 256, (2, 1, 5, 64, 64)).astype(np.uint8))
    order = torch.tensor([[[3, 1, 1, 3, 4, 1]], [[0, 0, 2, 0, 1, 0]]])
    shown = torch.stack([pictures[n, :, order[n, 0]] for n in range(2)])
    results = []
    for inputs in ({"pictures": pictures, "order": order}, shown):
        leaf = genomes.clone().requires_grad_()
        outputs = network(leaf, inputs)
        results.append((outputs, *torch.autograd.grad(outputs.square().sum(), leaf)))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)
    assert (film(shown.numpy())["order"] == [[[0, 1, 1, 0, 4, 1]], [[0, 0, 2, 0, 4, 0]]]).all()


def test_outputs_do_not_depend_on_whether_they_will_be_differentiated():
    network = CompiledConvLSTM(2)
    genomes = torch.from_numpy(network.initial_genomes(2, GENERATOR))
    pictures = GENERATOR.integers(0, 256, (2, 3, 5, 64, 64)).astype(np.uint8)
    order = torch.from_numpy(GENERATOR.integers(0, 5, (2, 3, 9)))
    inputs = {"pictures": torch.from_numpy(pictures), "order": order}
    alone = network(genomes, inputs)
    assert not alone.requires_grad
    leaf = genomes.clone().requires_grad_()
    backwards = network(leaf, inputs)
    assert backwards.requires_grad
    np.testing.assert_array_equal(alone, backwards.detach())
    with torch.no_grad():
        np.testing.assert_array_equal(alone, network(leaf, inputs))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(genomes, torch.ones_like(genomes))
        forwards, change = forward_ad.unpack_dual(network(dual, inputs))
        np.testing.assert_array_equal(alone, forwards)
        assert change.abs().sum() > 0


def test_a_broken_network_does_not_disturb_the_others():
    network = CompiledConvLSTM(2)
    genomes = network.initial_genomes(3, GENERATOR)
    picture = pictures_of(1, 1, 1)[0, 0].numpy().repeat(3, axis=0)
    sound = network.policy(genomes)(picture)
    genomes[1, 500] = np.nan
    decisions = network.policy(genomes)(picture)
    assert np.isnan(decisions[1]).all()
    np.testing.assert_array_equal(decisions[[0, 2]], sound[[0, 2]])


@pytest.mark.parametrize("scale", [10, 100, 1e4])
def test_holds_for_extreme_weights(scale):
    network = CompiledConvLSTM(1)
    genomes = torch.from_numpy(network.initial_genomes(4, GENERATOR) * np.float32(scale))
    pictures = pictures_of(4, steps=3, distinct=3)
    np.testing.assert_allclose(
        network(genomes, pictures), reference(1)(genomes.double(), pictures), atol=1e-4
    )


def test_initial_genomes_have_the_papers_spread():
    network = topdown_network()
    genomes = network.initial_genomes(20, np.random.default_rng(1))
    assert genomes.dtype == np.float32
    layers = dict(
        zip(reference(12).names, np.split(genomes, split_points(ConvLSTM(12)), axis=1), strict=True)
    )
    for name, fan_in in (("convolutions.0", 25), ("convolutions.2", 300), ("convolutions.26", 108)):
        assert layers[f"{name}.weight"].std() == pytest.approx(np.sqrt(2 / (fan_in + 12)), rel=0.05)
        assert 0.9 / np.sqrt(fan_in) < abs(layers[f"{name}.bias"]).max() <= 1 / np.sqrt(fan_in)
    assert layers["output.weight"].std() == pytest.approx(np.sqrt(2 / 25), rel=0.05)
    assert 0.99 / np.sqrt(20) < abs(layers["lstm.weight_hh_l1"]).max() <= 1 / np.sqrt(20)


def split_points(module):
    return np.cumsum([p.numel() for p in module.parameters()])[:-1]


@pytest.mark.parametrize(
    ("params", "pictures", "error", "message"),
    [
        ((2, 100), (1, 3, 64, 64), ValueError, r"expected genomes of shape .*got \(2, 100\)"),
        (
            (2, -1),
            (1, 3, 32, 64),
            ValueError,
            r"expected pictures of shape .*got \(1, 3, 32, 64\)",
        ),
        ((2, -1), (3, 1, 3, 64, 64), ValueError, "expected pictures for 2 genomes, got them for 3"),
        ((2, -1), (64, 64), ValueError, r"expected pictures of shape .*got \(64, 64\)"),
        (
            (2, -1),
            (1, 0, 64, 64),
            ValueError,
            r"expected pictures of shape .*got \(1, 0, 64, 64\)",
        ),
    ],
)
def test_refuses_other_shapes(params, pictures, error, message):
    network = CompiledConvLSTM(1)
    shape = [network.num_params if size < 0 else size for size in params]
    with pytest.raises(error, match=message):
        network(torch.zeros(shape), torch.zeros(pictures, dtype=torch.uint8))


def test_refuses_pictures_of_another_dtype():
    network = CompiledConvLSTM(1)
    with pytest.raises(TypeError, match=r"expected pictures of dtype uint8, got torch\.float32"):
        network(torch.zeros(1, network.num_params), torch.zeros(1, 1, 64, 64))


def test_refuses_genomes_of_another_dtype():
    """What it computes is float32: an operator that promises more must not get less."""
    network = CompiledConvLSTM(1)
    genome = network.initial_genomes(1, GENERATOR)[0]
    with pytest.raises(TypeError, match=r"expected genomes of dtype float32, got torch\.float64"):
        network(torch.from_numpy(genome).double(), pictures_of(1, 2, 1)[0])
    op = SMGSum(network, sigma=0.1, precision="float64")
    with pytest.raises(ValueError, match=r"expected genomes of dtype float32, got torch\.float64"):
        op(genome, experiences=pictures_of(1, 2, 1)[0].numpy(), generator=1)


def test_operators_survive_being_pickled():
    network = CompiledConvLSTM(1)
    op = SMGSum(network, sigma=0.1)
    genomes = network.initial_genomes(2, GENERATOR)
    pictures = pictures_of(2, steps=3, distinct=2).numpy()
    again = pickle.loads(pickle.dumps(op))
    children = [one(genomes, experiences=pictures, per_parent=True, generator=1) for one in (op, again)]
    np.testing.assert_array_equal(*children)


@pytest.mark.parametrize("inputs", [{"pictures": 1}, {"pictures": 1, "order": 2, "more": 3}, [1]])
def test_refuses_what_is_no_film(inputs):
    network = CompiledConvLSTM(1)
    with pytest.raises(TypeError, match="expected pictures, or a film with 'pictures' and 'order', got"):
        network(torch.zeros(1, network.num_params), inputs)


def test_refuses_to_be_differentiated_twice():
    network = CompiledConvLSTM(0)
    leaf = torch.from_numpy(network.initial_genomes(1, GENERATOR)).requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf, pictures_of(1, 2, 1)).sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="grad_fn"):
        gradient.sum().backward()


def test_the_plain_module_is_written_down_in_its_own_order():
    """The genome's order is that of the module's parameters, layer by layer."""
    names = [name for name, _ in ConvLSTM(1).named_parameters()]
    assert names[:2] == ["convolutions.0.weight", "convolutions.0.bias"]
    assert names[-2:] == ["output.weight", "output.bias"]
    assert isinstance(ConvLSTM(1).lstm, nn.LSTM)
