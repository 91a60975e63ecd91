"""Gymnasium's own tasks as domains, and the table of what the default operator does in them."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from beyond.gymnasium_task import GymnasiumTask
from beyond.gymnasium_tasks import GYMNASIUM_TASKS, METHODS, order
from evolution.atomic_file import write_json


@pytest.mark.parametrize(
    ("environment", "natural"), [("CartPole-v1", True), ("CartPole-v1", False), ("Pendulum-v1", True)]
)
def test_returns_are_those_of_the_module_one_step_at_a_time(environment, natural):
    task = GymnasiumTask(environment=environment, natural=natural)
    genomes = task.network.initial_genomes(2, np.random.default_rng(1))
    evaluation = task.evaluate(genomes)
    for genome, reached, seen in zip(genomes, evaluation.fitness, evaluation.experiences, strict=True):
        module, env = task.network.to_module(genome), gym.make(environment)
        observation, _ = env.reset(seed=0)
        total, over, met = 0.0, False, []
        while not over:
            met.append(observation)
            with torch.no_grad():
                outputs = module(torch.as_tensor(observation, dtype=torch.float32)[None])[0].numpy()
            action = outputs.argmax() if environment == "CartPole-v1" else 2 * outputs  # torque within +-2
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        assert reached == pytest.approx(total, rel=1e-3)
        np.testing.assert_allclose(seen, np.array(met), atol=1e-3)


def test_outputs_have_a_scale_of_their_own_or_none():
    natural, raw = (GymnasiumTask(natural=scaled).network for scaled in (True, False))
    genomes = 10 * natural.initial_genomes(3, np.random.default_rng(0))
    inputs = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    outputs, logits = natural(genomes, inputs), raw(genomes, inputs)
    np.testing.assert_allclose(outputs.sum(2), 1, rtol=1e-5)
    exponentials = np.exp(logits - logits.max(2, keepdims=True))
    np.testing.assert_allclose(outputs, exponentials / exponentials.sum(2, keepdims=True), rtol=1e-4)


def test_the_table_compares_with_the_default(tmp_path):
    for number, method in enumerate(METHODS):
        for environment in ("CartPole-v1", "Pendulum-v1"):
            file = GYMNASIUM_TASKS.file(tmp_path, environment, method)
            file.parent.mkdir(parents=True, exist_ok=True)
            solved = environment == "CartPole-v1" and method != "control"
            runs = [
                {"best_fitness": -100.0 * number - n, "solved_at": 10 * number + n + 1 if solved else None}
                for n in range(10)
            ]
            write_json(file, {"runs": runs})
    cart, pendulum = GYMNASIUM_TASKS.tables(tmp_path)["gymnasium"].splitlines()[2:]
    assert cart.startswith(
        "| CartPole-v1 | 10/10 solved, median 6 | 10/10 solved, median 16 (p = 0.0018) | -204"
    )
    assert pendulum.startswith("| Pendulum-v1 | -4.5 | -104.5 (p = 0.0018) | -204.5 (p = 0.0018) |")


def test_who_solves_comes_before_who_does_not():
    runs = [
        {"solved_at": at, "best_fitness": best} for at, best in ((None, -9), (200, 5), (None, 3), (10, 1))
    ]
    assert np.argsort(order(runs)).tolist() == [3, 1, 2, 0]
