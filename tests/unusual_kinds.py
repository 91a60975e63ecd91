"""Networks of unusual making, and policies of stable-baselines3: more rows for ``support_table.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import sb3_kinds
from network_kinds import Kind, normal
from safe_mutation import FlatNetwork


class StraightThrough(torch.autograd.Function):
    """Limited to [-1, 1], with a gradient that knows no limit."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clone()


class Limited(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(StraightThrough.apply(self.first(x)))


class Graph(nn.Module):
    """Nodes that hear from their neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        weights = x["edges"] / x["edges"].sum(-1, keepdim=True).clamp(min=1)
        heard = torch.tanh(torch.bmm(weights, self.first(x["nodes"])))
        return self.last(torch.einsum("bij,bjf->bif", weights, heard).mean(1))


class SelectiveScan(nn.Module):
    """A state space whose time constants depend on its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.time, self.leave = nn.Linear(3, 8), nn.Linear(3, 4), nn.Linear(4, 2)
        self.decay = nn.Parameter(-torch.rand(4))

    def forward(self, x: Tensor) -> Tensor:
        inputs, gate = self.enter(x).chunk(2, -1)
        time = nn.functional.softplus(self.time(x))
        kept = torch.exp(time * self.decay)
        state, outputs = torch.zeros_like(inputs[:, 0]), []
        for t in range(x.shape[1]):
            state = kept[:, t] * state + time[:, t] * inputs[:, t]
            outputs.append(self.leave(state * nn.functional.silu(gate[:, t])))
        return torch.stack(outputs, 1)


class Experts(nn.Module):
    """Two of four experts for each input."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(3, 4), nn.Parameter(torch.randn(4, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        shares, chosen = self.gate(x).softmax(-1).topk(2, -1)
        return (shares.unsqueeze(-1) * torch.einsum("bi,bkio->bko", x, self.experts[chosen])).sum(1)


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.actor, self.critic = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen = torch.tanh(self.body(x))
        return {"logits": self.actor(seen), "value": self.critic(seen)}


def actor_critic() -> FlatNetwork:
    return FlatNetwork(ActorCritic(), forward=lambda module, x: module(x)["logits"])


def spectral_norm() -> nn.Module:
    first = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 5))
    return nn.Sequential(first, nn.Tanh(), nn.Linear(5, 2)).eval()


def nodes_and_edges(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    edges = torch.rand(count, 4, 4, generator=generator, dtype=torch.float64).round()
    return {"edges": edges, "nodes": normal(4, 3)(count, generator)}


def learned_policy(name: str) -> Callable[[], FlatNetwork]:
    make, forward, _ = sb3_kinds.KINDS[name]
    return cache(lambda: FlatNetwork(make().policy, forward=forward))


UNUSUAL = [
    Kind("MLP with spectral normalisation (eval mode)", spectral_norm, normal(3)),
    Kind("custom autograd function", Limited, normal(3)),
    Kind("graph network", Graph, nodes_and_edges),
    Kind("selective state space", SelectiveScan, normal(3, 3)),
    Kind("mixture of experts", Experts, normal(3)),
    Kind("actor-critic, the actor's outputs", actor_critic, normal(3)),
    *(
        Kind(f"Stable-Baselines3 {name}", learned_policy(name), normal(*shape), torch.float32)
        for name, (_, _, shape) in sb3_kinds.KINDS.items()
    ),
]
