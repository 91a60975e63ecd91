"""The domains that can be evolved by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from evolution.domains.breadcrumb_hard_maze import evaluate_hard_maze
from evolution.domains.recurrent_parity import evaluate_parity
from evolution.lockstep import Domain
from evolution.networks.feed_forward import FeedForward, ParityNetwork, hard_maze_network


@dataclass(frozen=True)
class Task:
    """A domain together with the network that evolves in it."""

    network: FeedForward | ParityNetwork
    domain: Domain


def hard_maze() -> Task:
    """The Breadcrumb Hard Maze with the paper's deep network."""
    network = hard_maze_network()
    evaluate = partial(evaluate_hard_maze, network)
    return Task(network, Domain("breadcrumb-hard-maze", network.initial_genomes, evaluate))


def recurrent_parity(outputs: int = 2) -> Task:
    """Recurrent Parity with the paper's two-layer recurrent network."""
    network = ParityNetwork(outputs)
    evaluate = partial(evaluate_parity, network)
    return Task(network, Domain("recurrent-parity", network.initial_genomes, evaluate))


DOMAINS = {"breadcrumb-hard-maze": hard_maze, "recurrent-parity": recurrent_parity}
VARIANTS = {"one output": partial(recurrent_parity, outputs=1)}  # of a domain, for experiments
