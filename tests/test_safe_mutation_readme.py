"""The README's code does what it says."""

import re
from pathlib import Path

import numpy as np
import torch

README = Path(__file__).parents[1] / "safe_mutation" / "README.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def calls_block() -> str:
    return next(block for block in blocks() if block.startswith("children = op("))


def test_the_example_runs() -> None:
    example = blocks()[0]
    names: dict = {}
    with torch.random.fork_rng():
        exec(example, names)
    assert names["child"].shape == (186,)
    assert names["children"].shape == (20, 186)
    assert not np.array_equal(names["child"], names["parent"])
    assert len([line for line in example.splitlines() if line]) <= 13


def test_the_evolution_solves_its_task(capsys) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        names: dict = {}
        exec(blocks()[1].replace("range(10)", "range(4)"), names)
    means = [int(mean) for mean in re.findall(r"mean (\d+)", capsys.readouterr().out)]
    assert len(means) == 4
    assert means[-1] > 2 * means[0]
    assert isinstance(names["champion"], torch.nn.Sequential)
    assert names["champion"] is not names["policy"]


def test_the_calls_run() -> None:
    names: dict = {}
    with torch.random.fork_rng():
        summed = blocks()[0].replace("SafeMutation(network)", "SMGSum(network, divergence=0.01)")
        exec(summed.replace("SafeMutation", "SMGSum"), names)
        parents, rng = names["children"][:2], np.random.default_rng(0)
        X = np.random.default_rng(1).random((30, 11))
        calls = calls_block().replace("[rng0, rng1, ...]", "[rng, rng]").splitlines()
        names |= {"parents": parents, "rng": rng, "X": X}
        for call in calls:
            names["X"] = np.stack([X, X]) if "per_parent=True" in call else X
            exec(call, names)
            assert names["children"].shape == (2, 186)
    assert names["s"].shape == (2, 186)


def test_the_crossover_runs() -> None:
    names: dict = {}
    with torch.random.fork_rng():
        exec(blocks()[0], names)
    X, Y = np.random.default_rng(1).random((2, 30, 11))
    names |= {"parents": names["children"][:2], "others": names["children"][2:4], "X": X, "Y": Y}
    crossover = next(block for block in blocks() if block.startswith("cross = "))
    exec("from safe_mutation import FisherCrossover\n" + crossover, names)
    assert names["children"].shape == (2, 186)


def test_every_option_is_described() -> None:
    from dataclasses import fields

    from safe_mutation.operators import OPERATORS

    text = README.read_text()
    table = text[text.index("| option |") : text.index("## Networks")]
    for operator in OPERATORS.values():
        for option in fields(operator):
            if option.name != "network":
                assert f"`{option.name}`" in table
