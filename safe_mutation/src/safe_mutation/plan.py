"""How a network is computed: found out once, kept with the network, readable, and open to another choice.

The same numbers can be had in several ways, of which torch can do some for a given network: many
genomes at once or one after the other, gradients of single experiences mapped or not, J v forwards or
by two backward passes. The first call with experiences of a kind finds out which; the findings travel
with the network into pickles, so that a worker need not find them out again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from torch import Tensor

from safe_mutation.experience_sets import ExperienceSets
from safe_mutation.experiences import Experiences, leaves

Kind: TypeAlias = tuple[Any, ...]

CHOICES = {
    "batching": ("stacked", "mapped", "looped", "by the network"),
    "row_sums": (
        "linear layers",
        "linear layers, one parent at a time",
        "mapped",
        "backward mapped",
        "one by one",
        "copies",
    ),
    "tangent": ("forward mode", "forward mode, plain kernels", "double backward", "central difference"),
}


@dataclass(frozen=True)
class Plan:
    """How a network is computed; None for what has not been needed so far.

    Attributes:
        batching: How N genomes are computed: "stacked" (their weights layer by layer), "mapped" (by
            torch.vmap), "looped" (one after the other), or "by the network" (a batched function).
        row_sums: How SM-G-ABS and the root mean square sum over experiences: "linear layers" (as fast as
            SM-G-SUM, see ``linear_shortcut``), the same "one parent at a time", or by the gradient of every
            experience (see ``per_experience``): "mapped", "backward mapped", "one by one", or by "copies".
        tangent: How SM-G-SO gets J v (see ``tangent``): "forward mode", "forward mode, plain kernels",
            "double backward", or "central difference" (the only one that is approximate).
        outputs: Number of outputs K.
        unreached: Names of parameters that the outputs do not depend on.

    Raises:
        ValueError: If a way is unknown; the message lists the known ones.
    """

    batching: str | None = None
    row_sums: str | None = None
    tangent: str | None = None
    outputs: int | None = None
    unreached: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in (None, *known):
                raise ValueError(f"expected {name} to be one of {known}, got {getattr(self, name)!r}")


class Plans:
    """The plans of one network, one for each kind of genomes and experiences that it was called with.

    Args:
        chosen: What the user chose, and is not to be found out.

    Attributes:
        latest: The plan of the last call.
    """

    def __init__(self, chosen: Plan | None = None) -> None:
        self.chosen = chosen or Plan()
        self.latest = self.chosen
        self._found: dict[Kind, Plan] = {}

    def of(self, kind: Kind) -> Plan:
        """What is known for a kind."""
        return self._found.get(kind, self.chosen)

    def note(self, kind: Kind, **findings: Any) -> Plan:
        """Add findings for a kind to what is known and was not chosen.

        Threads that find out the same at the same time find the same.
        """
        open_to_change = {f.name for f in fields(Plan) if getattr(self.chosen, f.name) is None}
        new = {name: value for name, value in findings.items() if name in open_to_change}
        self._found[kind] = plan = replace(self.of(kind), **new)
        if self.latest == self.chosen:
            self.latest = plan
        return plan

    def __repr__(self) -> str:
        found = "".join(f"\n  {kind}: {plan}" for kind, plan in self._found.items())
        return f"Plans({self.chosen}){found}"


class Ways:
    """The plan for one call, where its findings are noted.

    Args:
        plans: The network's plans.
        kind: Kind of genomes and experiences.

    Attributes:
        plan: What is known.
    """

    def __init__(self, plans: Plans, kind: Kind) -> None:
        self._plans, self._kind = plans, kind
        plans.latest = self.plan = plans.of(kind)

    @property
    def chosen(self) -> Plan:
        """What the user chose."""
        return self._plans.chosen

    def note(self, **findings: Any) -> Plan:
        """Add findings."""
        self._plans.latest = self.plan = self._plans.note(self._kind, **findings)
        return self.plan


def kind_of(params: Tensor, inputs: Experiences) -> Kind:
    """What decides how a network can be computed: one genome or several, number formats and dimensions.

    How long an axis is does not matter, except that a network may do something else where it is 1 (a single
    time step), and a single experience asks for less than several.

    Args:
        params: Genomes (N, P).
        inputs: Experiences (N, I, ...) or ExperienceSets.
    """
    if isinstance(inputs, ExperienceSets):
        stacks = [_layout(stack) for stack in inputs.stacks]
        layout: Any = ("sets", inputs.largest[0] > 1, *sorted(set(stacks), key=repr))
    else:
        layout = _layout(inputs)
    return (len(params) > 1, params.dtype, params.device.type, layout)


def _layout(inputs: Experiences) -> tuple[Any, ...]:
    return tuple([(x.dtype, *[min(size, 2) for size in x.shape[1:]]) for x in leaves(inputs)])
