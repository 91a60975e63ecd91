"""A genetic algorithm over stable-baselines3 policies: rollouts are those of the library, and it evolves."""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

import stable_baselines3_ga as ga
from safe_mutation import SMGSO, FlatNetwork


@pytest.mark.parametrize("env_id", ["safemaze/BreadcrumbHardMaze-v0", "safemaze/TopdownMaze-v0"])
def test_a_rollout_is_what_the_library_plays(env_id, monkeypatch):
    """The mazes begin alike everywhere: against ``predict`` in one environment, both kinds of actions."""
    monkeypatch.setattr(ga, "SIZE", 4)
    env = gym.make(env_id, max_steps=30)
    policy = PPO("MlpPolicy", env, seed=1, device="cpu", n_steps=32, batch_size=32).policy
    policy.set_training_mode(False)
    network = FlatNetwork(policy, forward=ga.read_outputs)
    rng = np.random.default_rng(1)
    genomes = network.flatten().numpy() + rng.normal(0, 0.05, (ga.SIZE, network.num_params)).astype(
        np.float32
    )
    returns, seen = ga.Rollouts(env_id, network, seed=1, max_steps=30)(genomes)
    for lane in (0, 3):
        child = network.to_module(genomes[lane])
        observation, _ = env.reset()
        total, over, met = 0.0, False, []
        while not over:
            met.append(observation)
            action, _ = child.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        assert returns[lane] == pytest.approx(total, abs=1e-3)
        np.testing.assert_allclose(seen[lane], np.stack(met), atol=1e-3)


def test_the_best_stays_and_the_critic_too():
    policy = PPO("MlpPolicy", "CartPole-v1", seed=1, device="cpu").policy
    policy.set_training_mode(False)
    network = FlatNetwork(policy, forward=ga.read_outputs)
    mask = network.reaching(torch.rand(3, 4))
    op, parent = SMGSO(network, divergence=0.03, mask=mask), network.flatten().numpy()
    asked = []
    rollouts = ga.Rollouts("CartPole-v1", network, seed=1)

    def watched(genomes):
        asked.append(genomes.copy())
        return rollouts(genomes)

    history = list(ga.evolve(watched, parent, op, 3, np.random.default_rng(1)))
    assert [len(returns) for returns in history] == [ga.SIZE] * 4
    for before, returns, after in zip(asked, history, asked[1:], strict=False):
        assert (after[0] == before[returns.argmax()]).all()
    assert (asked[-1][:, ~mask.numpy()] == parent[~mask.numpy()]).all()
    assert history[-1].mean() > history[0].mean()


def test_a_row_counts_seeds_and_shows_medians():
    runs = {
        name: [{"first": 9.0, "mean": mean, "best": mean + 100} for mean in means]
        for name, means in {"safe": (30.0, 40.0, 50.0, 10.0), "plain": (20.0, 20.0, 20.0, 20.0)}.items()
    }
    # Signed ranks 1.5, 3, 4, -1.5: three of sixteen patterns of signs have no more below zero; two sides.
    shown = ga.row("Pole-v1", {"train": 0, "generations": 3} | runs)
    assert shown == "| `Pole-v1 --generations 3 --train 0` | 9 | 35 (135) | 20 (120) | 3, 1 | 0.38 |"


def test_the_readme_has_the_results():
    readme = (Path(ga.__file__).parent / "README.md").read_text()
    for env, record in json.loads(ga.RESULTS.read_text()).items():
        assert len(record["safe"]) == len(record["plain"]) == 10
        assert ga.row(env, record) in readme
