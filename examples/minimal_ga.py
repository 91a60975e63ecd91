"""A genetic algorithm with safe mutation in under a hundred lines: copy this file and make it yours.

    python examples/minimal_ga.py

Evolves an ordinary ``nn.Module`` through the Breadcrumb Hard Maze, writes champion.pt and champion.png,
and needs the two packages only.
"""

import argparse

import gymnasium as gym
import numpy as np
import pygame
import torch
from torch import nn

import gym_safemaze  # noqa: F401  (registers the environments)
from safe_mutation import SMGSO, FlatNetwork

TOURNAMENT = 5


def make_policy() -> nn.Module:
    """Eleven sensors to turn and thrust, both from 0 to 1: any module will do."""
    return nn.Sequential(
        nn.Linear(11, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2), nn.Sigmoid()
    )


@torch.no_grad()
def rollout(policy: nn.Module, env: gym.Env) -> tuple[float, bool, np.ndarray]:
    """One episode: fitness, whether the robot reached the goal, and what the policy saw (I, 11)."""
    observation, info = env.reset()
    experiences, over = [], False
    while not over:
        experiences.append(observation)
        action = policy(torch.from_numpy(observation)).numpy()
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    return info["fitness"], info["solved"], np.stack(experiences)


def main() -> None:
    """Evolve, show progress, save the champion and a picture of its way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="champion", help="path without .pt and .png")
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    env = gym.make("safemaze/BreadcrumbHardMaze-v0", frame_skip=3, render_mode="rgb_array")
    policy = make_policy()  # whose weights are set anew for every evaluation
    network = FlatNetwork(policy)
    mutate = SMGSO(network, divergence=0.03)

    population: list[tuple[np.ndarray, float, np.ndarray]] = []  # genome, fitness, experiences
    best = -np.inf
    for evaluation in range(options.evaluations):
        if len(population) < options.population:
            genome = network.flatten(make_policy()).numpy()  # PyTorch's own initial weights
        else:
            tournament = rng.choice(options.population, TOURNAMENT, replace=False)
            parent = max(tournament, key=lambda member: population[member][1])
            genome = mutate(population[parent][0], experiences=population[parent][2], generator=rng)
        fitness, solved, experiences = rollout(network.load_(policy, genome), env)
        if len(population) < options.population:
            population.append((genome, fitness, experiences))
        else:  # the child takes the place of the worst of its parent's tournament
            population[min(tournament, key=lambda member: population[member][1])] = (
                genome,
                fitness,
                experiences,
            )
        if fitness > best or solved:
            best, champion = fitness, genome
        if evaluation % 100 == 99 or solved:
            print(f"\r{evaluation + 1} evaluations, best fitness {best:.0f}", end="", flush=True)
        if solved:
            break
    print(" and solved" if solved else "")

    network.load_(policy, champion)
    torch.save(policy.state_dict(), f"{options.output}.pt")
    rollout(policy, env)
    way = pygame.surfarray.make_surface(np.swapaxes(np.asarray(env.render()), 0, 1))
    pygame.image.save(way, f"{options.output}.png")


if __name__ == "__main__":
    main()
