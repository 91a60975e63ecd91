"""Policies of stable-baselines3 after learning, and which of their outputs matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC
from torch import Tensor


def action_logits(policy: Any, x: Tensor) -> Tensor:
    return policy.get_distribution(x).distribution.logits


def action_mean(policy: Any, x: Tensor) -> Tensor:
    return policy.get_distribution(x).distribution.mean


def q_values(policy: Any, x: Tensor) -> Tensor:
    return policy.q_net(x)


def actor_mean(policy: Any, x: Tensor) -> Tensor:
    return policy.actor.get_action_dist_params(x)[0]


def recurrent_logits(policy: Any, x: Tensor) -> Tensor:
    """Logits at each step of whole episodes (I, T, ...), from states of zeros."""
    zeros = x.new_zeros(policy.lstm_actor.num_layers, len(x), policy.lstm_actor.hidden_size)
    features = policy.extract_features(x.flatten(0, 1), policy.pi_features_extractor).unflatten(
        0, x.shape[:2]
    )
    states, _ = policy.lstm_actor(features.transpose(0, 1), (zeros, zeros))
    return policy.action_net(policy.mlp_extractor.forward_actor(states.transpose(0, 1)))


def learned(algorithm: Any, env: str, **options: Any) -> Any:
    recurrent = algorithm is RecurrentPPO
    policy = "MlpLstmPolicy" if recurrent else "MlpPolicy"
    sizes = {"net_arch": [8]} | ({"lstm_hidden_size": 8} if recurrent else {})
    model = algorithm(policy, env, seed=0, device="cpu", policy_kwargs=sizes, **options)
    model.learn(64)
    model.policy.set_training_mode(False)
    return model


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any, Tensor], Tensor], tuple[int, ...]]] = {
    "PPO": (lambda: learned(PPO, "CartPole-v1", n_steps=32, batch_size=16), action_logits, (4,)),
    "PPO, continuous": (lambda: learned(PPO, "Pendulum-v1", n_steps=32, batch_size=16), action_mean, (3,)),
    "DQN": (lambda: learned(DQN, "CartPole-v1", learning_starts=16), q_values, (4,)),
    "SAC": (lambda: learned(SAC, "Pendulum-v1", learning_starts=16), actor_mean, (3,)),
    "RecurrentPPO": (
        lambda: learned(RecurrentPPO, "CartPole-v1", n_steps=32, batch_size=16),
        recurrent_logits,
        (6, 4),
    ),
}
