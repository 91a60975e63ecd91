"""Searches whose networks torch computes on a device, here the processor, and on a GPU where there is one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import evolve
from command_lines import assert_refused
from evolution import breed as breeding
from evolution.algorithms.hill_climber import HillClimber
from evolution.algorithms.steady_state_ga import SteadyStateGA
from evolution.algorithms.success_rule_ga import SuccessRuleGA
from evolution.atomic_file import read_json, read_npz
from evolution.domains.breadcrumb_hard_maze import BreadcrumbHardMaze
from evolution.domains.in_turn import in_turn
from evolution.domains.large_scale import LargeScale32
from evolution.domains.recurrent_parity import RecurrentParity
from evolution.experiment import Experiment
from evolution.networks.feed_forward import FeedForward, hard_maze_network, large_scale_network
from evolution.networks.padded_layers import PaddedLayers
from safe_mutation import SMGSO, GaussianMutation, SMGSum

CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
NETWORKS = [
    large_scale_network(9, 6),
    large_scale_network(101, 48),
    large_scale_network(6, 125),
    hard_maze_network(),
    FeedForward([3, 5, 1], torch.tanh, 2),
    FeedForward([9, 2]),
    FeedForward([3, 40, 40, 17], torch.tanh),
    FeedForward([3, 4, 5, 2]),
]
SMALL = LargeScale32(depth=5, width=6, frames=30)


def search(domain=SMALL, operator=None, device=CPU, **settings):
    operator = operator or SMGSum(domain.network, sigma=0.1)
    algorithm = SteadyStateGA(population_size=12, tournament_size=3)
    settings = {"seed": 1, "runs": 2, "max_evaluations": 30, "stop_when_solved": False} | settings
    return Experiment(domain, operator, algorithm, device=device, **settings)


def populations(experiment, steps=None):
    lockstep = experiment.lockstep()
    for number, _ in enumerate(lockstep.run()):
        if number == steps:
            break
    return [replicate.algorithm.population for replicate in lockstep.replicates]


def fitness(experiment):
    return [[individual.fitness for individual in population] for population in populations(experiment)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: f"{network.num_params} weights")
@pytest.mark.parametrize("scale", [1, 0.2])
def test_decisions_on_a_device_are_the_networks_outputs(network, device, scale):
    generator = np.random.default_rng(0)
    genomes = torch.from_numpy(network.initial_genomes(5, generator) * np.float32(scale))
    observations = generator.random((5, network.widths[0]), dtype=np.float32)
    decide = network.policy(genomes.to(device))
    answers = [(seen, decide(seen)) for seen in (observations, observations[::-1].copy(), observations)]
    for seen, answer in answers:  # asked for before any was looked at
        exact = network(genomes.double(), torch.from_numpy(seen).double()[:, None])[:, 0]
        np.testing.assert_allclose(np.asarray(answer), exact, atol=5e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("domain", [SMALL, BreadcrumbHardMaze(frames=30), RecurrentParity()])
def test_genomes_of_another_network_are_refused_and_any_layout_is_read(domain, device):
    genomes = torch.from_numpy(domain.network.initial_genomes(4, np.random.default_rng(0))).to(device)
    longer = torch.cat([genomes, genomes[:, :5]], 1)
    for other in (genomes[:, :-7], longer, genomes[0]):
        with pytest.raises(ValueError, match=rf"expected genomes of shape \(N, {genomes.shape[1]}\), got"):
            domain.evaluate(other)
    expected = domain.evaluate(genomes).fitness
    for same in (genomes.double(), genomes.T.contiguous().T, genomes.repeat_interleave(2, 0)[::2]):
        np.testing.assert_allclose(domain.evaluate(same).fitness, expected, rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_observations_for_other_networks_are_refused(device):
    network = large_scale_network(9, 6)
    genomes = torch.from_numpy(network.initial_genomes(3, np.random.default_rng(0))).to(device)
    decide = network.policy(genomes)
    for other in ((4, 11), (1, 11), (3, 10)):
        with pytest.raises((ValueError, RuntimeError)):
            decide(np.zeros(other, np.float32))


@pytest.mark.parametrize("device", DEVICES)
def test_a_broken_network_on_a_device_does_not_disturb_the_others(device):
    network = large_scale_network(9, 6)
    genomes = torch.from_numpy(network.initial_genomes(3, np.random.default_rng(0)))
    observations = np.random.default_rng(1).random((3, 11), dtype=np.float32)
    sound = np.asarray(network.policy(genomes.to(device))(observations))
    genomes[1, 30] = np.nan
    broken = np.asarray(network.policy(genomes.to(device))(observations))
    assert np.isnan(broken[1]).all()
    np.testing.assert_array_equal(broken[[0, 2]], sound[[0, 2]])


def test_padded_layers_are_the_layers_of_the_genome_with_zeros_around():
    network = FeedForward([11, 5, 5, 5, 3], torch.tanh, 2)
    genomes = torch.from_numpy(network.initial_genomes(2, np.random.default_rng(0)))
    layers = PaddedLayers.of(genomes, network.widths, selu=False, skip_every=2)
    for n, genome in enumerate(genomes):
        module = network.module()
        torch.nn.utils.vector_to_parameters(genome, module.parameters())
        first, *hidden, last = module.layers
        padded = [
            (first, layers.first[n], layers.first_bias[n], (16, 8)),
            *[(layer, layers.weights[n, h], layers.biases[n, h], (8, 8)) for h, layer in enumerate(hidden)],
            (last, layers.last[n], layers.last_bias[n], (8, 4)),
        ]
        for layer, weight, bias, shape in padded:
            fan_out, fan_in = layer.weight.shape
            assert weight.shape == shape and bias.shape == shape[1:]
            assert torch.equal(weight[:fan_in, :fan_out], layer.weight.T)
            assert torch.equal(bias[:fan_out], layer.bias)
            assert torch.count_nonzero(weight) == torch.count_nonzero(layer.weight)
            assert torch.count_nonzero(bias) == torch.count_nonzero(layer.bias)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "domain", [SMALL, BreadcrumbHardMaze(frames=60), RecurrentParity(), RecurrentParity(1)]
)
def test_evaluating_on_a_device_is_evaluating_compiled_networks(domain, device):
    genomes = domain.network.initial_genomes(5, np.random.default_rng(0))
    compiled = domain.evaluate(genomes)
    on_device = domain.evaluate(torch.from_numpy(genomes).to(device))
    np.testing.assert_allclose(on_device.fitness, compiled.fitness, rtol=1e-5)
    np.testing.assert_array_equal(on_device.solved, compiled.solved)
    np.testing.assert_allclose(on_device.behavior, compiled.behavior, atol=0.02)
    assert np.shape(on_device.experiences) == np.shape(compiled.experiences)


def test_episodes_go_on_by_turns_and_keep_their_order():
    log = []

    def episode(name, pauses):
        for n in range(pauses):
            log.append(f"{name}{n}")
            yield
        return name

    assert in_turn([episode("a", 3), episode("b", 1), episode("c", 0)]) == ["a", "b", "c"]
    assert log == ["a0", "b0", "a1", "a2"]
    assert in_turn([]) == []


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [SMGSum, SMGSO, GaussianMutation])
def test_a_search_on_a_device_keeps_its_genomes_there_and_can_be_repeated(make, device):
    operator = make(SMALL.network, sigma=0.1)
    first, second = (populations(search(operator=operator, device=torch.device(device))) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            assert isinstance(a.genome, torch.Tensor) and a.genome.device.type == device
            assert torch.equal(a.genome, b.genome) and a.fitness == b.fitness
            assert a.sensitivity is None or a.sensitivity.device == a.genome.device
            assert isinstance(a.experiences, np.ndarray)


@pytest.mark.parametrize("device", DEVICES)
def test_a_search_on_a_device_goes_on_from_any_state(device):
    experiment = search(device=torch.device(device))
    whole = populations(experiment)
    lockstep = experiment.lockstep()
    for number, _ in enumerate(lockstep.run()):
        if number == 9:
            break
    state = {name: np.array(array) for name, array in lockstep.state().items()}
    resumed = experiment.lockstep()
    resumed.load(state)
    assert {a.genome.device.type for r in resumed.replicates for a in r.algorithm.population} == {device}
    for _ in resumed.run():
        pass
    for one, replicate in zip(whole, resumed.replicates, strict=True):
        for a, b in zip(one, replicate.algorithm.population, strict=True):
            assert torch.equal(a.genome, b.genome)


@pytest.mark.parametrize("device", [None, CPU], ids=["compiled", "torch"])
@pytest.mark.parametrize("guess", [2, 7, 100])
def test_guessing_parents_is_breeding_one_child_at_a_time(guess, device):
    # Without sums over several networks there is nothing to be rounded otherwise.
    settings = {"operator": GaussianMutation(sigma=0.1), "device": device, "runs": 3}
    one_by_one = fitness(search(**settings))
    assert fitness(search(guess=guess, group=2, **settings)) == one_by_one


def test_a_guess_of_a_divergence_that_has_changed_is_wrong_too():
    operator = GaussianMutation(SMALL.network, divergence=0.01, precision="float64")
    algorithm = SuccessRuleGA(population_size=12, tournament_size=3, memory=5)
    one_by_one = replace(search(operator=operator, device=None), algorithm=algorithm)
    assert fitness(replace(one_by_one, guess=5)) == fitness(one_by_one)


def test_wrong_guesses_happen_and_right_ones_save_steps(monkeypatch):
    bred, told = [], []
    breed = breeding.breed
    monkeypatch.setattr(
        "evolution.workers.breed", lambda d, o, births, *m: bred.append(births) or breed(d, o, births, *m)
    )
    experiment = search(
        operator=GaussianMutation(sigma=0.1), device=None, runs=1, max_evaluations=60, guess=5
    )
    told.extend(experiment.lockstep().run())
    assert sum(told) == 60
    assert sum(map(len, bred)) > 60  # of twelve individuals a child often decides who comes next
    assert len(bred) < 60 - 12
    assert all(birth.index < 60 for births in bred for birth in births)


def test_a_guess_ends_with_the_solution():
    experiment = search(
        replace(RecurrentParity()), GaussianMutation(sigma=0.1), None, runs=2, guess=4, stop_when_solved=True
    )
    lockstep = experiment.lockstep()
    for replicate in lockstep.replicates:
        assert replicate.active
    steps = lockstep.run()
    next(steps), next(steps)
    first, second = lockstep.replicates
    first.solved_at = first.evaluations
    before = first.evaluations
    for _ in steps:
        pass
    assert first.evaluations == before and second.evaluations == 30


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guess": 0}, "expected guess to be at least 1, got 0"),
        ({"guess": 2, "lag": 2}, "expected a guess of 1 with a lag"),
    ],
)
def test_guesses_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        search(**settings)
    with pytest.raises(ValueError, match="got 2 with hill-climber"):
        replace(search(), algorithm=HillClimber(), guess=2)


def test_networks_that_are_compiled_only_have_no_device():
    class Compiled(LargeScale32):
        on_devices = False

    with pytest.raises(ValueError, match=r"expected no device for large-scale-32.*got cpu"):
        search(Compiled(depth=5, width=6), GaussianMutation(sigma=0.1))


def test_the_record_names_the_device_and_the_guess():
    plain = search(device=None).record()
    assert "device" not in plain and "guess" not in plain  # earlier results stay what they are
    record = search(guess=3, device=torch.device("cpu", 0)).record()
    assert (record["device"], record["guess"]) == ("cpu", 3)


def test_running_out_of_memory_says_what_to_lower_and_keeps_the_checkpoint(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    small = ["recurrent-parity", "--operator", "control", "--runs", "2", "--output", str(folder)]
    arguments = [*small, "--device", "cpu", "--max-evaluations"]
    assert evolve.main([*arguments, "320"]) == 0
    reached = read_npz(folder / "champion.npz")[0]
    whole = tmp_path / "whole"
    evaluate, calls = RecurrentParity.evaluate, []

    def run_out(self, genomes):
        calls.append(len(genomes))
        if len(calls) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return evaluate(self, genomes)

    monkeypatch.setattr(RecurrentParity, "evaluate", run_out)
    other = ["recurrent-parity", "--operator", "control", "--runs", "2", "--output", str(whole)]
    assert evolve.main([*other, "--device", "cpu", "--max-evaluations", "320"]) == 2
    errors = capsys.readouterr().err
    assert "expected memory for 2 networks at once" in errors
    assert "lower --group, --guess or --runs" in errors and "Traceback" not in errors
    assert (whole / "checkpoint.npz").exists()
    monkeypatch.undo()
    assert evolve.main([*other, "--device", "cpu", "--max-evaluations", "320"]) == 0
    np.testing.assert_array_equal(read_npz(whole / "champion.npz")[0]["genome"], reached["genome"])
    assert read_json(whole / "record.json")["device"] == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu9"], "expected a device that torch"),
        (["--device", "meta"], "expected a device that torch"),
        (["--device", "cpu", "--ray"], "expected no --ray beside cpu"),
        (["--guess", "0"], "argument --guess: expected at least 1, got 0"),
        (["--guess", "2", "--lag", "2"], "expected a guess of 1 with a lag"),
        *([] if torch.cuda.is_available() else [(["--device", "cuda"], "of CUDA devices it sees none")]),
        (["--device", "cuda:99"], "got 'cuda:99'"),
    ],
)
def test_devices_that_are_not_there_are_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = ["recurrent-parity", "--output", str(tmp_path / "run")]
    assert_refused(evolve.main, [*run, *arguments], message, capsys)
    assert not (tmp_path / "run").exists()
