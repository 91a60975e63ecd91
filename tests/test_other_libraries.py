"""The examples for other evolutionary libraries evolve, repeat themselves, and are what the README shows."""

import importlib
import json
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import comparison
import safe_mutation
from maze_task import HardMaze
from parity_task import RecurrentParity

ROOT = Path(__file__).parents[1]
README = (ROOT / "safe_mutation" / "README.md").read_text()
FOLDER = ROOT / "examples" / "other_libraries"
HEAVY = {"agilerl_maze": "agilerl", "evosax_parity": "evosax", "qdax_maze": "qdax"}  # run by hand
FILES = sorted(path.stem for path in [*FOLDER.glob("*_parity.py"), *FOLDER.glob("*_maze.py")])

# What the libraries warn of is theirs to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def run(file: str, safe: bool, seed: int, evaluations: int):
    """A task after the file's algorithm had so many evaluations."""
    if file in HEAVY:
        pytest.importorskip(HEAVY[file])
    module = importlib.import_module(file)
    task = HardMaze() if file.endswith("_maze") else RecurrentParity()
    task.seen = []  # type: ignore[attr-defined]
    evaluate = task.evaluate

    def watched(genomes):
        task.seen.append(np.array(genomes, dtype=np.float32))
        return evaluate(genomes)

    task.evaluate = watched  # type: ignore[method-assign]
    with torch.random.fork_rng():
        module.run(task, safe, seed, evaluations)
    return task


def rows(genomes) -> set[bytes]:
    return {row.tobytes() for row in np.atleast_2d(np.asarray(genomes, dtype=np.float32))}


@pytest.mark.parametrize("file", FILES)
def test_children_are_the_operators_and_have_evaluated_parents(file, monkeypatch):
    parents, children = set(), set()
    call = safe_mutation.SMGSO.__call__

    def watched(self, params, **keywords):
        result = call(self, params, **keywords)
        parents.update(rows(params))
        children.update(rows(result))
        return result

    monkeypatch.setattr(safe_mutation.SMGSO, "__call__", watched)
    one_by_one = file in ("deap_maze", "nevergrad_parity")
    task = run(file, safe=True, seed=1, evaluations=101 if one_by_one else 300)
    first, *later = (rows(genomes) for genomes in task.seen)
    assert len(set.union(*later)) >= 50
    assert set.union(*later) <= children | first  # an elite may be evaluated again
    assert parents <= set.union(first, *later)
    again = run(file, safe=True, seed=1, evaluations=101 if one_by_one else 300)
    np.testing.assert_array_equal(again.seen[-1], task.seen[-1])


@pytest.mark.parametrize("file", FILES)
def test_stock_mutation_starts_from_the_same_networks(file):
    safe, stock = (run(file, safe, 2, 101) for safe in (True, False))
    np.testing.assert_array_equal(safe.seen[0], stock.seen[0])
    assert not np.array_equal(safe.seen[-1], stock.seen[-1])


@pytest.mark.parametrize("file", FILES)
def test_files_are_short_and_say_what_they_need(file):
    source = (FOLDER / f"{file}.py").read_text()
    assert source.count("\n") <= 85
    [command] = re.findall(r"^    pip install (.*)$", source, flags=re.M)
    assert f"    python examples/other_libraries/{file}.py" in source
    library, version = re.search(r"(\w+)==(\S+)$", command).groups()
    if file not in HEAVY:
        assert f"{library}=={version}\n" in (ROOT / "constraints.txt").read_text()
    assert ("gym_safemaze" in command) == file.endswith("_maze")


def recipes() -> list[str]:
    section = README[README.index("## In other libraries") : README.index("Stable-Baselines3 2")]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


def test_there_is_a_recipe_for_each_file():
    assert len(recipes()) == len(FILES)


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.splitlines()[0])
def test_the_readme_quotes_the_files(recipe):
    assert len(recipe.splitlines()) <= 15
    sources = [(FOLDER / f"{file}.py").read_text() for file in FILES]
    assert any(textwrap.indent(recipe, " " * n) in source for source in sources for n in (0, 4))


def test_the_table_is_of_the_results():
    assert comparison.table() in (FOLDER / "README.md").read_text()
    for record in json.loads(comparison.RESULTS.read_text()).values():
        assert len(record["stock"]) == len(record["safe"]) >= 10


def test_a_comparison_prints_and_saves_both_sides(monkeypatch, tmp_path, capsys):
    def run(task, safe, seed, budget):
        while task.solved_at is None and task.evaluations < budget:
            task.evaluate(task.initial_genomes(10, seed + 100 * safe))

    monkeypatch.setattr(comparison, "RESULTS", tmp_path / "results.json")
    threads = torch.get_num_threads()
    try:
        for library in ("numpy", "torch", "numpy"):
            monkeypatch.setattr("sys.argv", ["x", "--seeds", "2", "--evaluations", "20", "--save"])
            comparison.Comparison(library, RecurrentParity, "none", run, 7).main()
    finally:
        torch.set_num_threads(threads)
    assert "seed 2: stock not solved, best fitness -0.69" in capsys.readouterr().out
    records = json.loads((tmp_path / "results.json").read_text())
    assert list(records) == ["numpy", "torch"]
    assert records["numpy"]["budget"] == 20
    assert len(records["numpy"]["safe"]) == 2
    assert "| numpy" in comparison.table()


def test_the_earlier_solution_is_better_and_any_is_better_than_none():
    runs = ((10, -0.6), (20, -0.1), (None, -0.2), (None, -0.3))
    ranks = [comparison.rank({"solved_at": at, "best": best}) for at, best in runs]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 4


def test_parity_task_against_every_string():
    """Fitness and solutions against a loop over strings with a plain module, in double precision."""
    task = RecurrentParity()
    genomes = task.initial_genomes(3, 1) * 3
    fitness = task.evaluate(genomes)
    for genome, measured in zip(genomes, fitness, strict=True):
        module = task.network.to_module(genome).double()
        logs = []
        for string in range(16):
            bits = [(string >> place) & 1 for place in range(4)]
            probabilities = module(torch.tensor([bits], dtype=torch.float64)[:, :, None])[0]
            logs.append(float(probabilities[sum(bits) % 2].log()))
        assert measured == pytest.approx(np.mean(logs), rel=1e-4)


def test_maze_task_against_one_environment():
    import gymnasium as gym

    task = HardMaze()
    genomes = task.initial_genomes(3, 1)
    rollouts = task.evaluate(genomes)
    env = gym.make("safemaze/BreadcrumbHardMaze-v0", frame_skip=3)
    module = task.network.to_module(genomes[1])
    observation, _ = env.reset()
    for step in range(134):
        np.testing.assert_allclose(rollouts.experiences[1, step], observation, atol=1e-4)
        with torch.no_grad():
            action = module(torch.from_numpy(observation)[None])[0].numpy()
        observation, _, terminated, _, info = env.step(action)
    assert terminated
    assert rollouts.fitness[1] == info["fitness"]
    np.testing.assert_allclose(rollouts.behavior[1], info["behavior"], atol=1e-3)


def test_the_recipe_for_stable_baselines3():
    from stable_baselines3 import PPO

    policy = PPO("MlpPolicy", "CartPole-v1", n_steps=32, seed=0, device="cpu").policy
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    names = {"policy": policy, "observations": observations}
    names |= {"FlatNetwork": safe_mutation.FlatNetwork, "SMGSO": safe_mutation.SMGSO}
    [recipe] = re.findall(
        r"^Stable-Baselines3 .*?```python\n(.*?)```", README, flags=re.DOTALL | re.MULTILINE
    )
    exec(recipe, names)
    child = names["child"]
    assert type(child) is type(policy)
    for (name, before), after in zip(policy.named_parameters(), child.parameters(), strict=True):
        critic = "value" in name or "vf" in name
        assert torch.equal(before, after) == critic, name


POPULATIONS = {
    "objects": (np.full((2, 4), 0.1, dtype=object), TypeError, r"got object: give genomes\.astype\(float\)"),
    "integers": (np.ones((2, 4), dtype=int), TypeError, r"got int64: give genomes\.astype\(float\)"),
    "a list": ([0.1] * 4, TypeError, r"got list: give np\.array\(genomes\)"),
    "a list of arrays": ([np.ones(4)] * 2, TypeError, r"got list: give np\.array\(genomes\)"),
    "a wrong length": (np.ones((2, 5)), ValueError, r"expected a genome of shape \(N, 4\), got \(2, 5\)"),
}


@pytest.mark.parametrize("kind", POPULATIONS)
def test_what_libraries_hold_is_refused_with_what_to_give(kind):
    population, error, message = POPULATIONS[kind]
    op = safe_mutation.SMGSO(torch.nn.Linear(3, 1), divergence=0.03, experiences=np.ones((5, 3)))
    with pytest.raises(error, match=message):
        op(population, generator=1)


def test_populations_in_double_precision_stay_so():
    op = safe_mutation.SMGSO(torch.nn.Linear(3, 1), divergence=0.03, experiences=np.ones((5, 3)))
    children = op(np.ones((2, 4)), generator=1)
    assert children.dtype == np.float64
    assert children.shape == (2, 4)
