"""A genetic algorithm with safe mutation in under a hundred lines: copy this file and make it yours.

    python examples/minimal_ga.py

Evolves an ordinary ``nn.Module`` through the Breadcrumb Hard Maze, writes champion.pt and champion.png,
and needs the two packages only (gym_safemaze with its extra "render").
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
import pygame
import torch
from torch import nn

import gym_safemaze  # noqa: F401  (registers the environments)
from safe_mutation import FlatNetwork, SafeMutation

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


def evolve(policy: nn.Module, env: gym.Env, evaluations: int, size: int, seed: int) -> np.ndarray:
    """The fittest genome, or the first that solves the maze."""
    rng = np.random.default_rng(seed)
    network = FlatNetwork(policy)
    mutate = SafeMutation(network)
    population: list[dict] = []
    best: dict = {"fitness": -np.inf}
    for evaluation in range(1, evaluations + 1):
        if len(population) < size:
            place = len(population)
            population.append({})
            genome = network.flatten(make_policy()).numpy()
        else:  # the best of a tournament has a child, which takes the place of the worst
            entrants = rng.choice(size, TOURNAMENT, replace=False)
            place, *_, winner = sorted(entrants, key=lambda entrant: population[entrant]["fitness"])
            parent = population[winner]
            genome = mutate(parent["genome"], experiences=parent["experiences"], generator=rng)
        fitness, solved, experiences = rollout(network.load_(policy, genome), env)
        population[place] = {"genome": genome, "fitness": fitness, "experiences": experiences}
        if solved or fitness > best["fitness"]:
            best = population[place]
        if solved or evaluation % 50 == 0 or evaluation == evaluations:
            print(f"\r{evaluation} evaluations, best fitness {best['fitness']:.0f}", end="", flush=True)
        if solved:
            break
    print(": solved" if solved else ": not solved")
    return best["genome"]


def main() -> None:
    """Evolve, save the champion and a picture of its way."""
    parser = argparse.ArgumentParser(description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default="champion", help="path without .pt and .png")
    options = parser.parse_args()
    if options.evaluations < 1 or options.population < TOURNAMENT or options.seed < 0:
        parser.error(f"expected at least 1 evaluation, a population of {TOURNAMENT} and a seed of 0 or more")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the network is small
    torch.manual_seed(options.seed)
    env = gym.make("safemaze/BreadcrumbHardMaze-v0", frame_skip=3, render_mode="rgb_array")
    policy = make_policy()  # whose weights are set anew for every evaluation
    champion = evolve(policy, env, options.evaluations, options.population, options.seed)
    FlatNetwork(policy).load_(policy, champion)
    torch.save(policy.state_dict(), f"{options.output}.pt")
    rollout(policy, env)
    way = pygame.surfarray.make_surface(np.swapaxes(np.asarray(env.render()), 0, 1))
    pygame.image.save(way, f"{options.output}.png")


if __name__ == "__main__":
    main()
