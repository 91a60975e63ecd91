"""A batched function as a network with a plan."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from safe_mutation.experiences import Experiences
from safe_mutation.flat_network import FlatNetwork
from safe_mutation.network import Network, run
from safe_mutation.plan import Plan, Plans, Ways, kind_of
from safe_mutation.repeatable import (
    a_few,
    refuse_different_answers,
    refuse_joint_answers,
    refuse_writing,
    same_random_numbers,
)


class BatchedNetwork:
    """A function ``(params (N, P), inputs (N, I, ...)) -> (N, I, K)`` with what is known about it.

    Args:
        function: The function, which says how long its genomes are in an attribute ``num_params``, if at all.
        plan: What of the way it is differentiated is not to be found out; see ``Plan``.

    Attributes:
        num_params: Length P of a genome, or None.
        plans: How it is differentiated, for each kind of experiences that it has seen.
    """

    def __init__(self, function: Network, plan: Plan | None = None) -> None:
        self.function = function
        self.num_params: int | None = getattr(function, "num_params", None)
        self.plans = Plans(plan)

    def __call__(self, params: Any, inputs: Any) -> Any:
        """The function's outputs."""
        return self.function(params, inputs)

    def __repr__(self) -> str:
        return f"BatchedNetwork({self.function!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BatchedNetwork) and self.function == other.function

    def __hash__(self) -> int:
        return hash((BatchedNetwork, self.function))

    def prepare(self, params: Tensor, inputs: Experiences) -> Ways:
        """Find out, once for a kind of experiences, what has to be known before outputs can be trusted.

        Args:
            params: Genomes (N, P).
            inputs: Experiences (N, I, ...) or ExperienceSets.

        Raises:
            ValueError: If the function cannot take the experiences, or answers the same ones differently.
            TypeError: If its outputs are no array.
        """
        ways = Ways(self.plans, kind_of(params, inputs))
        if ways.plan.outputs is None:
            genome, few = a_few(params, inputs)
            with same_random_numbers(params.device), torch.no_grad():
                outputs = run(self.function, genome, few)
                refuse_writing(genome, few)
                refuse_different_answers(
                    lambda n: [outputs, *(run(self.function, genome, few) for _ in range(n))]
                )
                refuse_joint_answers(lambda fewer: run(self.function, genome, fewer), few, outputs)
            ways.note(outputs=outputs.shape[2], batching="by the network")
        return ways


def planned(network: Network | nn.Module) -> FlatNetwork | BatchedNetwork:
    """The network itself if it has a plan, or else one with it.

    Raises:
        TypeError: If it is no function.
    """
    if isinstance(network, (FlatNetwork, BatchedNetwork)):
        return network
    if not callable(network):
        raise TypeError(f"expected network to be callable, got {type(network).__name__}")
    return FlatNetwork(network) if isinstance(network, nn.Module) else BatchedNetwork(network)
