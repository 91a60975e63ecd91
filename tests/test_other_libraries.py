"""The README's recipes for other evolutionary libraries, each run as that library's users would run it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import safe_mutation

README = Path(__file__).parents[1] / "safe_mutation" / "README.md"
EXPERIENCES = np.random.default_rng(0).random((100, 11), dtype=np.float32)
GENERATIONS = 5

# What the libraries warn of is theirs to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def recipe(library: str) -> str:
    """The code below the paragraph that begins with the library's name."""
    match = re.search(
        rf"^{library} .*?```python\n(.*?)```", README.read_text(), flags=re.DOTALL | re.MULTILINE
    )
    assert match, library
    return match[1]


class Counted:
    """An operator that counts the children it is asked for."""

    def __init__(self, op) -> None:
        self.op, self.children = op, 0

    def __call__(self, parents, **keywords):
        children = self.op(parents, **keywords)
        self.children += 1 if children.ndim == 1 else len(children)
        return children

    def __deepcopy__(self, memo):
        return self  # pymoo runs a copy of the algorithm that it is given


def make_network() -> safe_mutation.FlatNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return safe_mutation.FlatNetwork(nn.Sequential(nn.Linear(11, 8), nn.Tanh(), nn.Linear(8, 2)))


NETWORK = make_network()
TARGETS = np.sin(3 * EXPERIENCES[:, :2])


@pytest.fixture
def network():
    return NETWORK


@pytest.fixture
def op(network):
    return Counted(safe_mutation.SMGSO(network, divergence=0.03, experiences=EXPERIENCES, generator=1))


@pytest.fixture
def start(network):
    return network.flatten().double().numpy()


def error(genome) -> float:
    """How far the policy is from the actions that are wanted, to be minimised."""
    outputs = NETWORK(np.asarray(genome, dtype=np.float32), EXPERIENCES)
    return float(np.square(outputs - TARGETS).sum(1).mean())


def test_deap(op, start):
    from deap import algorithms, base, tools

    class Fitness(base.Fitness):
        weights = (-1.0,)

    class Individual(list):
        def __init__(self, values):
            super().__init__(values)
            self.fitness = Fitness()
            self.experiences = EXPERIENCES[: 50 + len(values) % 7]

    toolbox = base.Toolbox()
    exec(recipe("DEAP"), {"op": op, "np": np, "toolbox": toolbox})
    toolbox.register("evaluate", lambda individual: (error(individual),))
    toolbox.register("select", tools.selTournament, tournsize=3)
    population = [Individual(start) for _ in range(10)]
    last, _ = algorithms.eaMuPlusLambda(population, toolbox, 10, 20, 0.0, 1.0, GENERATIONS, verbose=False)
    assert op.children == 20 * GENERATIONS
    assert min(map(error, last)) < error(start)


def test_evotorch(op, start):
    from evotorch import Problem
    from evotorch.algorithms import GeneticAlgorithm

    class Sphere(Problem):
        def __init__(self):
            super().__init__("min", solution_length=len(start), initial_bounds=(-0.1, 0.1), seed=0)

        def _evaluate_batch(self, batch):
            batch.set_evals(torch.tensor([error(values) for values in batch.values]))

    names = {"op": op, "problem": Sphere(), "GeneticAlgorithm": GeneticAlgorithm}
    ga = eval(recipe("EvoTorch"), names)
    ga.step()
    first = float(ga.status["best_eval"])
    ga.run(GENERATIONS)
    assert op.children >= 64 * GENERATIONS
    assert float(ga.status["best_eval"]) < first


def test_pygad(op, start):
    import pygad

    population = np.stack([start] * 10)
    rest = {
        "initial_population": population,
        "num_generations": GENERATIONS,
        "num_parents_mating": 4,
        "crossover_type": None,
        "fitness_func": lambda ga, genome, index: -error(genome),
        "random_seed": 0,
        "suppress_warnings": True,
    }
    ga = eval(recipe("PyGAD").replace("...", "**rest"), {"pygad": pygad, "op": op, "rest": rest})
    ga.run()
    assert op.children >= 4 * GENERATIONS
    assert error(ga.best_solution()[0]) < error(start)


def test_pymoo(op, start):
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.pntx import SinglePointCrossover
    from pymoo.optimize import minimize

    class Sphere(ElementwiseProblem):
        def _evaluate(self, x, out, *args, **kwargs):
            out["F"] = error(x)

    names: dict = {"Mutation": Mutation}
    exec(recipe("pymoo"), names)
    algorithm = GA(
        pop_size=10,
        sampling=np.stack([start] * 10),
        crossover=SinglePointCrossover(prob=0.0),
        mutation=names["SafeMutation"](op),
        eliminate_duplicates=False,
    )
    problem = Sphere(n_var=len(start), n_obj=1, xl=-10 * np.ones(len(start)), xu=10 * np.ones(len(start)))
    result = minimize(problem, algorithm, ("n_gen", GENERATIONS), seed=1)
    assert op.children >= 10 * (GENERATIONS - 1)
    assert result.F[0] < error(start)
    again = minimize(problem, algorithm, ("n_gen", GENERATIONS), seed=1)
    np.testing.assert_array_equal(again.X, result.X)


def test_pyribs(op, network, start):
    from ribs.archives import GridArchive
    from ribs.emitters import EmitterBase
    from ribs.schedulers import Scheduler

    names = {"np": np, "network": network, "GridArchive": GridArchive, "EmitterBase": EmitterBase}
    exec(recipe("pyribs"), names)
    archive = names["archive"]
    emitter = names["SafeMutationEmitter"](archive, op, start, batch_size=8)
    scheduler = Scheduler(archive, [emitter])
    rng = np.random.default_rng(0)
    for _ in range(GENERATIONS):
        genomes = scheduler.ask()
        measures = 1 / (1 + np.exp(-genomes[:, :2]))
        experiences = rng.random((len(genomes), 100, 11), dtype=np.float32)
        scheduler.tell([-error(genome) for genome in genomes], measures, experiences=experiences)
    assert op.children == 8 * (GENERATIONS - 1)
    assert archive.stats.obj_max > -error(start)
    assert archive.best_elite["experiences"].shape == (100, 11)


def test_stable_baselines3():
    from stable_baselines3 import PPO

    policy = PPO("MlpPolicy", "CartPole-v1", n_steps=32, seed=0, device="cpu").policy
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    names = {"policy": policy, "observations": observations}
    names |= {"FlatNetwork": safe_mutation.FlatNetwork, "SMGSO": safe_mutation.SMGSO}
    exec(recipe("Stable-Baselines3"), names)
    child = names["child"]
    assert type(child) is type(policy)
    for (name, before), after in zip(policy.named_parameters(), child.parameters(), strict=True):
        critic = "value" in name or "vf" in name
        assert torch.equal(before, after) == critic, name
