"""FlatNetwork: a module as a function of its weights, and the module left alone."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from network_kinds import KINDS, Kind
from safe_mutation import FlatNetwork, NumpyNetwork, SMGSum
from safe_mutation.experiences import map_leaves, take
from safe_mutation.plan import Plan


def module_kinds() -> list[Kind]:
    return [kind for kind in KINDS if isinstance(kind.network(), FlatNetwork)]


@pytest.mark.parametrize("kind", module_kinds(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("batching", [None, "looped"])
def test_outputs_are_those_of_the_module(kind: Kind, batching: str | None) -> None:
    """Against torch's own functional_call with parameters cut out by hand."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = kind.make().double()
    network = FlatNetwork(module, plan=Plan(batching=batching))
    params = kind.genomes(3)
    sets = [kind.experiences(4, torch.Generator().manual_seed(n)) for n in range(3)]
    inputs = (
        {key: torch.stack([one[key] for one in sets]) for key in sets[0]}
        if isinstance(sets[0], dict)
        else torch.stack(sets)
    )
    outputs = network(params, inputs)
    for n in range(3):
        start, named = 0, {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                named[name] = params[n, start : start + parameter.numel()].view(parameter.shape)
                start += parameter.numel()
        assert start == network.num_params
        expected = torch.func.functional_call(module, named, (sets[n],))
        torch.testing.assert_close(outputs[n], expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(network(params[n], sets[n]), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", module_kinds(), ids=lambda kind: kind.name)
def test_the_module_is_not_modified(kind: Kind) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = kind.make().double()
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    before = copy.deepcopy(module.state_dict())
    modes = [layer.training for layer in module.modules()]
    network = FlatNetwork(module)
    inputs = kind.experiences(4, torch.Generator().manual_seed(0))
    SMGSum(network, sigma=0.1)(kind.genomes(2), experiences=inputs, generator=0)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert [layer.training for layer in module.modules()] == modes
    for name, p in module.named_parameters():
        assert isinstance(p, nn.Parameter)
        assert p.grad is None
        assert p.requires_grad == (name not in frozen)


def test_a_failing_call_leaves_the_network_usable() -> None:
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)))
    params = network.flatten()
    with pytest.raises(RuntimeError):
        network(params + 1, torch.ones(2, 5))
    torch.testing.assert_close(network.flatten(), params)


def test_later_changes_to_the_module_are_not_seen() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    module[1].requires_grad_(False)
    network = FlatNetwork(module)
    params, inputs = network.flatten(), torch.ones(4, 3)
    before = network(params, inputs)
    with torch.no_grad():
        module[1].weight.mul_(2)
    torch.testing.assert_close(network(params, inputs), before, rtol=0, atol=0)


def test_frozen_weights_are_left_out_and_tied_ones_count_once() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    module[1].weight = module[0].weight
    module[2].bias.requires_grad_(False)
    network = FlatNetwork(module)
    assert network.num_params == 9 + 3 + 3 + 6
    assert network.names == ["0.weight", "0.bias", "1.bias", "2.weight"]
    params = network.flatten() + 1
    other = copy.deepcopy(module)
    assert network.load_(other, params) is other
    torch.testing.assert_close(network.flatten(other), params)
    assert other[1].weight is other[0].weight
    x = torch.ones(4, 3)
    torch.testing.assert_close(other(x), network(params, x))


def test_flatten_is_torchs_own_order_even_if_not_contiguous() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    expected = nn.utils.parameters_to_vector(module.parameters())
    torch.testing.assert_close(FlatNetwork(module).flatten(), expected.detach())
    module[0].weight = nn.Parameter(torch.randn(3, 4).T)
    flat = FlatNetwork(module).flatten()
    torch.testing.assert_close(flat[:12], module[0].weight.detach().reshape(-1))
    assert not np.shares_memory(flat.numpy(), module[0].weight.detach().numpy())


def test_masks_by_name() -> None:
    network = FlatNetwork(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)))
    assert network.mask("0.*").tolist() == [True] * 6 + [False] * 3
    assert network.mask("*.bias").tolist() == [False] * 4 + [True] * 2 + [False] * 2 + [True]
    assert network.mask("0.bias", "2.weight").sum() == 4
    with pytest.raises(ValueError, match=r"matches one of \['0.weight', .*\], got 'head"):
        network.mask("*.bias", "head.*")


def test_forward_adapts_the_call() -> None:
    rnn = nn.GRU(2, 3, batch_first=True)
    network = FlatNetwork(rnn, forward=lambda module, x: module(x)[0])
    params, inputs = network.flatten(), torch.ones(4, 5, 2)
    torch.testing.assert_close(network(params, inputs), rnn(inputs)[0].detach())
    assert network(params.expand(2, -1), inputs.expand(2, -1, -1, -1)).shape == (2, 4, 5, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_buffers_and_frozen_weights_follow_the_genomes_precision(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    module[2].requires_grad_(False)
    network = FlatNetwork(module)
    outputs = network(network.flatten().to(dtype), torch.ones(2, 3, dtype=dtype))
    assert outputs.dtype == dtype
    expected = copy.deepcopy(module).to(dtype)(torch.ones(2, 3, dtype=dtype))
    torch.testing.assert_close(outputs, expected.detach())


def test_batching_is_found_out_by_trying() -> None:
    class Branching(nn.Module):
        """Looks at its numbers, which torch cannot do for many genomes at once."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            return torch.tanh(y) if float(self.layer.weight.detach().sum()) > 0 else y

    network = FlatNetwork(Branching())
    params = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    inputs = torch.ones(5, 3, 2)
    assert network.plans.latest.batching is None
    outputs = network(params, inputs)
    assert network.plans.latest.batching == "looped"
    for n in range(5):
        torch.testing.assert_close(outputs[n], network(params[n], inputs[n]))
    with pytest.raises(RuntimeError):
        FlatNetwork(Branching(), plan=Plan(batching="mapped"))(params, inputs)


def test_bad_inputs_do_not_change_the_way_of_batching() -> None:
    network = FlatNetwork(nn.Linear(2, 2))
    with pytest.raises(RuntimeError):
        network(torch.ones(3, 6), torch.ones(3, 4, 7))
    assert network.plans.latest.batching is None


def test_pickling_and_deep_copies() -> None:
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4).eval(), nn.Linear(4, 2)))
    params, inputs = network.flatten(), torch.ones(2, 3)
    expected = network(params, inputs)
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        torch.testing.assert_close(other(params, inputs), expected, rtol=0, atol=0)
        torch.testing.assert_close(other.flatten(), params, rtol=0, atol=0)


def test_threads_may_share_a_network() -> None:
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)))
    params = torch.randn(24, network.num_params, generator=torch.Generator().manual_seed(0))
    inputs = torch.ones(4, 3)
    expected = [network(w, inputs) for w in params]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(lambda w: network(w, inputs), params), expected, strict=True):
                torch.testing.assert_close(found, wanted)


def normalised(**options: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, **options))


REFUSED = {
    "BatchNorm1d '1' in train mode, .* depend on all others": normalised(),
    r"Dropout '1' in train mode, where dropout \(0.1\)": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)),
    r"LSTM '' in train mode, where dropout \(0.2\)": nn.LSTM(2, 2, num_layers=2, dropout=0.2),
    r"in train mode, where dropout \(0.3\)": nn.TransformerEncoderLayer(4, 2, dropout=0.3),
    "changes its running statistics": nn.Sequential(
        nn.Conv1d(1, 1, 1), nn.InstanceNorm1d(1, track_running_stats=True)
    ),
    "changes its estimate of the norm": nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)),
    "with running statistics, got '1' without": normalised(track_running_stats=False).eval(),
    "trainable parameters, got a ReLU without any": nn.ReLU(),
    "have a shape, got a lazy one, '0.weight': call the module once": nn.Sequential(nn.LazyLinear(2)),
    "of real numbers, got 'weight' of torch.complex64: keep real": nn.Linear(2, 2, dtype=torch.complex64),
    "trainable parameters, got a Linear without any": nn.Linear(2, 2).requires_grad_(False),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_modules(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlatNetwork(REFUSED[message])


def test_eval_mode_is_all_that_was_asked_for() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).eval()
    assert FlatNetwork(module).num_params == 10
    assert FlatNetwork(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))).num_params == 6


def test_bad_arguments() -> None:
    network = FlatNetwork(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"genomes of shape \(6,\) or \(N, 6\), got \(5,\)"):
        network(torch.ones(5), torch.ones(1, 2))
    with pytest.raises(ValueError, match=r"a genome of shape \(6,\), got \(7,\)"):
        network.load_(nn.Linear(2, 2), torch.ones(7))
    with pytest.raises(ValueError, match=r"a parameter 'weight' of shape \(2, 2\), got \(2, 3\)"):
        network.flatten(nn.Linear(3, 2))
    with pytest.raises(TypeError, match=r"an nn\.Module, got function"):
        FlatNetwork(lambda x: x)
    with pytest.raises(ValueError, match=r"batching to be one of \('stacked', .*\), got 'fast'"):
        FlatNetwork(nn.Linear(2, 2), plan=Plan(batching="fast"))


def test_numpy_networks_loop_or_batch() -> None:
    def single(w: np.ndarray, x: dict) -> np.ndarray:
        return x["a"] @ w.reshape(3, 2)

    params = torch.randn(4, 6, dtype=torch.float64)
    inputs = {"a": torch.randn(4, 5, 3, dtype=torch.float64)}
    outputs = NumpyNetwork(single)(params, inputs)
    torch.testing.assert_close(outputs, inputs["a"] @ params.view(4, 3, 2))
    torch.testing.assert_close(NumpyNetwork(single)(params[0], take(inputs, 0)), outputs[0])
    batched = NumpyNetwork(lambda w, x: x["a"] @ w.reshape(-1, 3, 2), batched=True)
    torch.testing.assert_close(batched(params, inputs), outputs)


def test_experiences_may_be_named_tuples() -> None:
    from typing import NamedTuple

    class Seen(NamedTuple):
        left: Tensor
        right: Tensor

    seen = Seen(torch.ones(4, 2), torch.zeros(4, 1))
    some = take(seen, slice(1, 3))
    assert isinstance(some, Seen)
    assert some.right.shape == (2, 1)
    assert map_leaves(len, {"x": (seen, 7 * [0])}) == {"x": ((4, 4), 7)}
