"""Modules as strangers write them: what is measured is what they do with the child's weights."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from safe_mutation import SMGSO, SMR, FlatNetwork, GaussianMutation, SafeMutation, SMGAbs, SMGRms, SMGSum

OPERATORS = [SMR, SMGSum, SMGAbs, SMGRms, SMGSO]


def assert_diverges_as_said(module, experiences, tolerance=0.1, operators=OPERATORS, **arguments):
    """The child that an operator reports as converged diverges so far, by the module itself."""
    network = FlatNetwork(module)
    genome = network.flatten()
    with torch.no_grad():
        own = module(experiences)
        for operator in operators:
            op = operator(network, divergence=0.03, **arguments)
            child, info = op(genome, experiences=experiences, generator=1, return_info=True)
            changed = copy.deepcopy(module)
            network.load_(changed, child)
            true = (changed(experiences) - own).double().square().sum(-1).mean().item()
            assert info.status == "converged"
            assert true == pytest.approx(info.divergence, rel=0.02)
            assert true == pytest.approx(0.03, rel=tolerance + 0.02)


class Rotary(nn.Module):
    def __init__(self, trainable=False):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        turns = torch.polar(torch.ones(4), torch.linspace(0.5, 3, 4))
        if trainable:
            self.turns = nn.Parameter(turns, requires_grad=False)
        else:
            self.register_buffer("turns", turns)

    def forward(self, x):
        pairs = torch.view_as_complex(self.norm(self.first(x)).unflatten(-1, (4, 2))) * self.turns
        return self.last(torch.view_as_real(pairs).flatten(-2))


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("precision", [None, "float64"])
def test_complex_buffers_and_frozen_weights_keep_their_imaginary_part(trainable, precision):
    torch.manual_seed(0)
    module = Rotary(trainable).eval()
    assert_diverges_as_said(module, torch.randn(50, 4), precision=precision)
    network = FlatNetwork(module)
    exact = copy.deepcopy(module)
    exact.turns.data = exact.turns.data.to(torch.complex128)
    exact = exact.double()
    seen = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(network(network.flatten().double(), seen), exact(seen))


class Listed(nn.Module):
    """Its layers are looked up in what is no layer's own: a list, a dict, an object, another attribute."""

    def __init__(self):
        super().__init__()
        self.listed, self.named = [], {}
        for number in range(4):
            weight = nn.Parameter(torch.randn(4, 4) * 0.6)
            self.register_parameter(f"w{number}", weight)
            if number % 2:
                self.listed.append(weight)
            else:
                self.named[number] = weight
        self.head = nn.Linear(4, 2)
        self.__dict__["bias"] = self.head.bias

    def forward(self, x):
        for weight in (self.named[0], self.listed[0], self.named[2], self.listed[1]):
            x = torch.tanh(x @ weight)
        return x @ self.head.weight.T + self.bias


def test_parameters_are_replaced_wherever_the_module_refers_to_them():
    torch.manual_seed(0)
    module = Listed()
    assert_diverges_as_said(module, torch.randn(30, 4))
    network = FlatNetwork(module)
    before = copy.deepcopy(module.state_dict())
    children = SafeMutation(network)(torch.stack([network.flatten()] * 3), experiences=torch.randn(30, 4))
    assert children.shape == (3, network.num_params)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert module.listed[0] is module.w1 and module.named[2] is module.w2
    SafeMutation(network).mutate_(module, experiences=torch.randn(30, 4), generator=1)
    assert module.listed[0] is module.w1 and not torch.equal(module.w1, before["w1"])


class Clearing(nn.Module):
    """Empties and fills lists of its weights while it computes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.used, self.active = [self.layer.weight], [self.layer.weight, self.layer.bias]

    def forward(self, x):
        self.used.clear()
        self.active[:] = [self.layer.bias]
        return self.layer(x)


class Fixed(list):
    def __setitem__(self, index, value):
        raise TypeError("immutable")


def test_lists_of_weights_that_a_module_changes_are_put_back():
    module = Clearing()
    module.fixed = Fixed([module.layer.weight])
    seen = torch.randn(20, 3)
    SafeMutation(FlatNetwork(module)).mutate_(module, experiences=seen, generator=1)
    assert isinstance(module.layer.weight, nn.Parameter)
    assert [id(one) for one in module.used + module.active + module.fixed] == [
        id(one) for one in (module.layer.weight, module.layer.weight, module.layer.bias, module.layer.weight)
    ]


@pytest.mark.parametrize("operator", [SMGSum, SMGAbs, SMGRms, SMGSO])
def test_parameters_that_are_used_from_a_tuple_are_refused(operator):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2))
            self.all = (self.weight, self.bias)

        def forward(self, x):
            return x @ self.all[0] + self.bias

    with pytest.raises(ValueError, match=r"outputs use \['weight'\] from elsewhere"):
        operator(FlatNetwork(Own()), divergence=0.03)(torch.randn(8), experiences=torch.randn(5, 3))
    assert_diverges_as_said(Listing(), torch.randn(20, 3))


class Listing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.all = tuple(self.parameters())  # for an optimizer

    def forward(self, x):
        return self.layer(x)


def test_outputs_that_no_parameter_of_the_genome_reaches_are_refused():
    hidden = nn.Linear(3, 2)

    class Closure(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(3, 2)

        def forward(self, x):
            return hidden(x)

    for operator in OPERATORS:
        with pytest.raises(ValueError, match="depend on the module's trainable parameters"):
            operator(FlatNetwork(Closure()), divergence=0.03)(torch.randn(8), experiences=torch.randn(5, 3))


class Embedded(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.table, self.head = nn.Embedding(6, 4, **settings), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.table(x)).mean(1))


@pytest.mark.parametrize("settings", [{"padding_idx": 0}, {"scale_grad_by_freq": True}, {"sparse": True}, {}])
@pytest.mark.parametrize("operator", [SMGSum, SMGAbs, SMGRms, SMGSO])
def test_settings_for_training_an_embedding_do_not_matter(settings, operator):
    torch.manual_seed(0)
    module, plain = Embedded(**settings), Embedded()
    plain.load_state_dict(module.state_dict())
    tokens = torch.cat([torch.randint(1, 6, (3, 3)), torch.randint(0, 6, (40, 3))])  # padding comes late
    parents = torch.stack([FlatNetwork(module).flatten()] * 2)
    expected = operator(FlatNetwork(plain), divergence=0.03)(parents, experiences=tokens, generator=[1, 2])
    # Random signs, one for each experience in its order, belong to the root mean square.
    for seen in (tokens,) if operator is SMGRms else (tokens, tokens.flip(0)):
        op = operator(FlatNetwork(module), divergence=0.03)
        found = op(parents, experiences=seen, generator=[1, 2])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            op(parents[0], experiences=seen, generator=1), found[0], rtol=1e-4, atol=1e-5
        )
    for name, value in settings.items():
        assert getattr(module.table, name) == value


class Masked(nn.Module):
    """Looks up its padding, as most do that pad."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(6, 4, padding_idx=0), nn.Linear(4, 2)

    def forward(self, x):
        mask = (x != self.table.padding_idx).unsqueeze(-1)
        return self.head((torch.tanh(self.table(x)) * mask).sum(1))


class Bagged(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(6, 4, padding_idx=0, mode="sum", sparse=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.bag(x)))


@pytest.mark.parametrize("module", [Masked, Bagged])
def test_modules_that_look_up_their_padding_compute_what_they_do_alone(module):
    torch.manual_seed(0)
    tokens = torch.randint(0, 6, (40, 3))
    policy = module()
    network = FlatNetwork(policy)
    torch.testing.assert_close(network(network.flatten(), tokens), policy(tokens))
    # SM-G-SO needs derivatives of bags that torch does not have.
    assert_diverges_as_said(policy, tokens, operators=OPERATORS[:-1] if module is Bagged else OPERATORS)


def test_embeddings_called_as_functions_agree_with_single_genomes():
    class Functional(Embedded):
        def forward(self, x):
            return self.head(functional.embedding(x, self.table.weight, 0).mean(1))

    tokens = torch.randint(0, 6, (20, 3))
    op = SMGAbs(FlatNetwork(Functional()), sigma=0.1)
    parents = torch.randn(3, op.network.num_params)
    together = op(parents, experiences=tokens, generator=[1, 2, 3])
    torch.testing.assert_close(op(parents[1], experiences=tokens, generator=2), together[1])


def test_an_embedding_that_rescales_its_weights_is_refused():
    with pytest.raises(ValueError, match=r"embeddings without max_norm, got 'table' with 0\.5"):
        FlatNetwork(Embedded(max_norm=0.5))


class Strided(nn.Module):
    """Long sequences go another way than short ones, one that is known for single networks only."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        if x.shape[1] > 8:
            x = x[:, torch.arange(0, x.shape[1], 2)]
        return self.last(x.mean(1))


class Chunked(Strided):
    def forward(self, x):
        x = torch.tanh(self.first(x)).mean(1)
        return self.last(x) if len(x) <= 32 else torch.cat([self.last(part) for part in x.split(32)])


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("module", [Strided, Chunked])
def test_a_way_that_a_module_goes_with_other_experiences_only_is_found_when_it_does(operator, module):
    torch.manual_seed(0)
    parents, short, long = torch.randn(3, 26), torch.randn(5, 4, 3), torch.randn(60, 12, 3)
    op = operator(FlatNetwork(module()), divergence=0.03)
    fresh = operator(FlatNetwork(module()), divergence=0.03)
    expected = fresh(parents, experiences=long, generator=[1, 2, 3])
    op(parents, experiences=short, generator=1)
    torch.testing.assert_close(
        op(parents, experiences=long, generator=[1, 2, 3]), expected, rtol=1e-3, atol=1e-4
    )
    ragged = [torch.randn(steps, 3) for steps in (4, 12, 5)]
    alone = fresh(parents[0], experiences=ragged, generator=1)
    again = operator(FlatNetwork(module()), divergence=0.03)
    found = again(parents, experiences=ragged, generator=[1, 2, 3])
    torch.testing.assert_close(found[0], alone, rtol=1e-3, atol=1e-4)


class Padded(nn.Module):
    """Attention in which padded places look at nothing, behind a recurrent layer."""

    def __init__(self):
        super().__init__()
        self.memory, self.qkv, self.head = nn.GRU(4, 4, batch_first=True), nn.Linear(4, 12), nn.Linear(4, 2)

    def forward(self, x):
        valid = x["valid"]
        q, k, v = self.qkv(self.memory(x["x"])[0]).chunk(3, -1)
        mask = valid[:, None, :] & valid[:, :, None]
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.head((found * valid[..., None]).sum(1))


def test_places_that_may_look_at_nothing_are_no_numbers_for_nobody():
    torch.manual_seed(0)
    valid = torch.arange(6)[None] < torch.randint(2, 7, (20, 1))
    assert_diverges_as_said(Padded(), {"x": torch.randn(20, 6, 4), "valid": valid})


class WithDummy(nn.Module):
    def __init__(self):
        super().__init__()
        self.dummy = nn.Parameter(torch.empty(0))
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    def forward(self, x):
        return self.layers(x.to(self.dummy.device))


def test_a_parameter_without_numbers_is_no_part_of_a_genome():
    module = WithDummy()
    assert_diverges_as_said(module, torch.randn(20, 3))
    network = FlatNetwork(module)
    assert "dummy" not in network.names
    parents = torch.stack([network.flatten()] * 2)
    assert network(parents, torch.randn(2, 4, 3)).shape == (2, 4, 2)
    for operator in OPERATORS:
        op = operator(network, divergence=0.03)
        assert op(parents, experiences=torch.randn(20, 3)).shape == parents.shape
        op.mutate_(module, experiences=torch.randn(20, 3))


def test_a_module_with_other_frozen_layers_is_refused():
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    module[0].requires_grad_(False)
    other = copy.deepcopy(module)
    other[0].requires_grad_(True)
    other[2].requires_grad_(False)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match=r"trainable parameters \['2.weight', '2.bias'\].*\['0.weight'"):
        SafeMutation(FlatNetwork(module)).mutate_(other, experiences=torch.randn(5, 4))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_parameters_that_cannot_keep_what_is_written_are_refused_before_any_is():
    layers = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2))
    with torch.inference_mode():
        frozen = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2))
    shared = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    shared[2].weight.data = shared[0].weight.data.T
    columns = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    both = torch.randn(4, 8)
    columns[0].weight.data, columns[2].weight.data = both[:, :4], both[:, 4:]
    apart = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))  # another lies between
    storage = torch.randn(100)
    apart[0].weight.data = storage.as_strided((4, 4), (10, 1))
    apart[0].bias.data, apart[2].weight.data = storage[4:8], storage.as_strided((4, 4), (4, 1), 33)
    expanded = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2))
    expanded[2].bias.data = torch.zeros(1).expand(2)
    for made_from, module, message in (
        (layers, frozen, "inference mode"),
        (shared, shared, "the same"),
        (apart, apart, "'0.weight' and '2.weight' in the same"),
        (layers, expanded, "'2.bias', which is expanded"),
    ):
        network = FlatNetwork(made_from)
        before = [parameter.clone() for parameter in module.parameters()]
        with pytest.raises(ValueError, match=message):
            SafeMutation(network).mutate_(module, experiences=torch.randn(9, made_from[0].in_features))
        with pytest.raises(ValueError, match=message):
            network.load_(module, torch.zeros(network.num_params))
        assert all(map(torch.equal, module.parameters(), before))
    SafeMutation(FlatNetwork(columns)).mutate_(columns, experiences=torch.randn(9, 4))  # side by side


def test_a_parametrized_module_of_ones_own_is_put_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.calls, self.last = nn.Parameter(torch.randn(2, 3)), 1, None

        def forward(self, x):
            self.calls += 1
            self.last = x @ self.w.T
            return self.last

    module = weight_norm(Counting(), "w")
    SafeMutation(FlatNetwork(module)).mutate_(module, experiences=torch.randn(5, 3))
    assert module.calls == 1 and module.last is None


def test_reaching_refuses_what_a_call_refuses_and_takes_what_it_takes():
    class ActorCritic(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.actor, self.critic = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(5, 1)

        def forward(self, x):
            return self.actor(torch.tanh(self.body(x)))

    module = ActorCritic()
    network = FlatNetwork(module)
    for seen in (torch.randn(4, 3), np.zeros((4, 3)), [np.zeros(3)] * 2):
        assert network.reaching(seen).sum() == 32
    sequences = FlatNetwork(nn.Sequential(nn.Linear(3, 2)))
    assert sequences.reaching([torch.randn(2, 3), torch.randn(5, 3)]).all()
    for seen in (torch.randn(4, 7), np.ones((4, 3), int)):
        with pytest.raises(ValueError, match="expected a network that can take"):
            network.reaching(seen)
    with pytest.raises(TypeError, match="expected the network to return one tensor, got tuple"):
        FlatNetwork(module, forward=lambda m, x: (m(x), 1)).reaching(torch.randn(4, 3))
    with pytest.raises(TypeError, match="expected outputs that are differentiable"):
        FlatNetwork(module, forward=lambda m, x: m(x).argmax(-1, keepdim=True)).reaching(torch.randn(4, 3))


def test_experiences_of_the_operator_may_be_those_of_each_parent():
    network = FlatNetwork(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    parents, own = torch.randn(5, 26), torch.randn(5, 7, 3)
    expected = SafeMutation(network)(parents, experiences=own, per_parent=True, generator=1)
    found = SafeMutation(network, experiences=lambda: own)(parents, per_parent=True, generator=1)
    assert torch.equal(found, expected)
    with pytest.raises(ValueError, match=r"expected experiences of shape \(5, I, ...\), got \(4, 7, 3\)"):
        SafeMutation(network, experiences=own[:4])(parents, per_parent=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_divergence_of_a_child_is_that_of_the_one_given_back(dtype):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    seen, parent = torch.randn(50, 3), FlatNetwork(module).flatten().to(dtype)
    network = FlatNetwork(module)
    for op in (
        GaussianMutation(network, sigma=1e-5),
        SMGAbs(network, sigma=1e-6),
        SMGAbs(network, sigma=0.01),
    ):
        child, info = op(parent, experiences=seen, generator=1, return_info=True)
        outputs = [network(genome.double(), seen.double()) for genome in (parent, child)]
        true = (outputs[1] - outputs[0]).square().sum(-1).mean().item()
        assert info.divergence == pytest.approx(true, rel=1e-3, abs=1e-12)
        changed = network.load_(copy.deepcopy(module).to(dtype), parent)
        _, info = op.mutate_(changed, experiences=seen, generator=1, return_info=True)
        outputs = [network(genome.double(), seen.double()) for genome in (parent, network.flatten(changed))]
        true = (outputs[1] - outputs[0]).square().sum(-1).mean().item()
        assert info.divergence == pytest.approx(true, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize(
    "genomes, inputs",
    [(torch.randn(2, 26), (5, 4, 3)), (torch.randn(1, 26), (5, 4, 3)), (torch.randn(3, 26), (1, 4, 3))],
)
@pytest.mark.parametrize("layers", [nn.Linear, nn.LazyLinear])
def test_inputs_for_another_number_of_genomes_are_refused(genomes, inputs, layers):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    network = FlatNetwork(module, forward=None if layers is nn.Linear else lambda m, x: m(x))
    with pytest.raises(ValueError, match=r"expected inputs of shape \(\d, I, ...\) for \d genomes, got \("):
        network(genomes, torch.randn(inputs))


def test_an_empty_array_beside_pictures_does_not_matter():
    module = nn.Sequential(nn.Flatten(), nn.Linear(1600, 2))
    network = FlatNetwork(module, forward=lambda m, x: m(x["picture"]))
    pictures = torch.randn(10, 40, 40)[[0, 0, 0, 1, 1, 2, 2, 2, 3, 3]]
    plain = SMGSum(FlatNetwork(module), sigma=0.1)(network.flatten(), experiences=pictures, generator=1)
    for extra in (np.zeros((10, 0)), torch.empty(10, 3, 0)):
        seen = {"picture": pictures, "extra": extra}
        child = SMGSum(network, sigma=0.1)(network.flatten(), experiences=seen, generator=1)
        torch.testing.assert_close(child, plain)


def test_random_numbers_of_the_system_may_be_the_operators_own():
    op = SafeMutation(FlatNetwork(nn.Linear(3, 2)), generator=random.SystemRandom())
    parent, seen = torch.randn(8), torch.randn(5, 3)
    assert not torch.equal(op(parent, experiences=seen), op(parent, experiences=seen))
