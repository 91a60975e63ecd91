"""A task of Gymnasium's own as a domain: a small network, a few episodes, their mean return."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from torch import nn

from evolution.domain import Domain, Evaluation
from safe_mutation import FlatNetwork

HIDDEN = (16, 16)


class Policy(FlatNetwork):
    """A tanh network; its outputs as they come ("raw"), or with a scale of their own ("natural").

    That is the probabilities of actions, or actions in parts of the limits of their space.
    """

    def __init__(self, inputs: int, outputs: int, discrete: bool, natural: bool) -> None:
        self.widths = (inputs, *HIDDEN, outputs)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(self.widths):
            layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
        last = (nn.Softmax(-1) if discrete else nn.Tanh()) if natural else nn.Identity()
        super().__init__(nn.Sequential(*layers[:-1], last))
        self.last = type(last).__name__

    def __repr__(self) -> str:
        return f"Policy of {'-'.join(map(str, self.widths))} units, tanh, {self.last}"

    def initial_genomes(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Draw genomes (number, P), float32, as PyTorch draws linear layers."""
        parts = []
        for fan_in, fan_out in pairwise(self.widths):
            bound = 1 / math.sqrt(fan_in)
            parts.append(generator.uniform(-bound, bound, (number, fan_in * fan_out + fan_out)))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def decide(self, genomes: np.ndarray, observations: np.ndarray) -> np.ndarray:
        """Outputs (N, K) before the last function, one observation (N, in) for each genome, without torch."""
        x, start = observations[:, :, None], 0
        for layer, (fan_in, fan_out) in enumerate(pairwise(self.widths)):
            middle, end = start + fan_in * fan_out, start + fan_in * fan_out + fan_out
            weights = genomes[:, start:middle].reshape(-1, fan_out, fan_in)
            x = weights @ (np.tanh(x) if layer else x) + genomes[:, middle:end, None]
            start = end
        found: np.ndarray = x[:, :, 0]
        return found


@dataclass(frozen=True)
class GymnasiumTask(Domain):
    """Fitness is the mean return of some episodes that begin alike for everyone.

    Solved is what Gymnasium says to be solved: a mean return of its ``reward_threshold``.

    Attributes:
        environment: Its id.
        episodes: For each evaluation.
        natural: Whether outputs have a scale of their own.
    """

    name: ClassVar[str] = "gymnasium"

    environment: str = "CartPole-v1"
    episodes: int = 1
    natural: bool = True

    @cached_property
    def network(self) -> Policy:
        """Two hidden layers of 16."""
        env: Any = gym.make(self.environment)
        discrete = isinstance(env.action_space, gym.spaces.Discrete)
        outputs = int(env.action_space.n) if discrete else math.prod(env.action_space.shape)
        return Policy(math.prod(env.observation_space.shape), outputs, discrete, self.natural)

    def evaluate(self, genomes: np.ndarray) -> Evaluation:
        """Run the episodes of genomes (N, P) side by side."""
        episodes = [self._episode(genomes, seed) for seed in range(self.episodes)]
        returns = np.mean([returns for returns, _ in episodes], axis=0)
        seen = [np.concatenate(steps) for steps in zip(*(seen for _, seen in episodes), strict=True)]
        threshold = gym.spec(self.environment).reward_threshold
        solved = np.zeros(len(genomes), bool) if threshold is None else returns >= threshold
        return Evaluation(returns, solved, seen, returns[:, None])

    def _episode(self, genomes: np.ndarray, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The returns (N,) of one episode of each genome, and what it saw (I, in)."""
        envs = [gym.make(self.environment, disable_env_checker=True) for _ in genomes]
        observations = np.array([env.reset(seed=seed)[0] for env in envs], np.float32)
        returns, running = np.zeros(len(genomes)), np.arange(len(genomes))
        seen: list[list[np.ndarray]] = [[] for _ in genomes]
        while len(running):
            actions = self._actions(envs[0], self.network.decide(genomes[running], observations[running]))
            over = []
            for lane, action in zip(running, actions, strict=True):
                seen[lane].append(observations[lane].copy())
                observation, reward, terminated, truncated, _ = envs[lane].step(action)
                observations[lane] = observation
                returns[lane] += float(reward)
                over.append(terminated or truncated)
            running = running[~np.array(over)]
        return returns, [np.array(steps) for steps in seen]

    def _actions(self, env: gym.Env, outputs: np.ndarray) -> Any:
        space = env.action_space
        if isinstance(space, gym.spaces.Discrete):
            return outputs.argmax(1)
        assert isinstance(space, gym.spaces.Box)
        squashed = np.tanh(outputs) if self.natural else np.clip(outputs, -1, 1)
        return (space.low + space.high) / 2 + squashed * (space.high - space.low) / 2
