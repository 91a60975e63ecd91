"""The unit of work of every search: mutate parents and evaluate their children.

``breed`` depends on its arguments alone and changes none of them, so that it may run in another
process, run twice, or run again after a crash, always with the same result.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from evolution.atomic_file import NUMBERS
from evolution.device import Device, copied, naming_what_to_lower, noise_source, stacked
from evolution.domain import Domain
from evolution.individual import Individual
from evolution.networks.film import together
from evolution.randomness import Purpose, stream
from safe_mutation import DivergenceNotReached
from safe_mutation.experiences import count, leaves, map_leaves, map_together, take

Operator = Callable[..., Any]
"""One of safe_mutation's operators, or any callable with their keywords."""


@dataclass(frozen=True)
class Birth:
    """A child to be made.

    Attributes:
        parent: Whom to mutate; None for a founder.
        seed: Of the experiment.
        run: Number of the replicate.
        index: Number of the evaluation within its replicate; with seed and run it decides all random numbers.
        scale: What the operator's divergence is multiplied by.
    """

    parent: Individual | None
    seed: int
    run: int
    index: int
    scale: float = 1.0

    def stream(self, purpose: Purpose) -> np.random.Generator:
        """The random numbers of this birth for one purpose."""
        return stream(self.seed, self.run, self.index, purpose)


class Brood(NamedTuple):
    """What came of some births.

    Attributes:
        children: The evaluated children, one for each birth.
        sensitivities: Those of the parents' weights, where they may be used again: to be kept with them.
    """

    children: list[Individual]
    sensitivities: list[Any]


def joined(broods: Sequence[Brood]) -> Brood:
    """What came of all births of some broods, in their order."""
    return Brood(
        [child for one in broods for child in one.children], [s for one in broods for s in one.sensitivities]
    )


def breed(domain: Domain, operator: Operator, births: Sequence[Birth], device: Device = None) -> Brood:
    """Make and evaluate the children of some births, all in one batch.

    The founders of a replicate are drawn together, from the stream of the first of them.

    Args:
        domain: The task.
        operator: The mutation.
        births: The children to be made.
        device: Where mutations and networks are computed; None for this processor and compiled networks.

    Raises:
        MemoryError: If there is too little; the message says what to lower.
    """
    with naming_what_to_lower(len(births)):
        return _breed(domain, operator, births, device)


def _breed(domain: Domain, operator: Operator, births: Sequence[Birth], device: Device) -> Brood:
    rows: list[Any] = [None] * len(births)  # the genomes
    sensitivities: list[Any] = [None] * len(births)
    founders = [lane for lane, birth in enumerate(births) if birth.parent is None]
    for _, group in groupby(founders, key=lambda lane: (births[lane].seed, births[lane].run)):
        lanes = list(group)
        founding = births[lanes[0]].stream(Purpose.GENESIS)
        drawn = domain.network.initial_genomes(len(lanes), founding)
        for lane, genome in zip(lanes, drawn if device is None else stacked(drawn, device), strict=True):
            rows[lane] = genome
    lanes = [lane for lane, birth in enumerate(births) if birth.parent is not None]
    if lanes:
        chosen = [births[lane] for lane in lanes]
        scaled = scaled_to(operator, [birth.scale for birth in chosen])
        children, measured = mutate(scaled, chosen, device)
        for lane, child, sensitivity in zip(lanes, children, measured, strict=True):
            rows[lane], sensitivities[lane] = child, sensitivity
    genomes = children if len(lanes) == len(births) else stacked(rows, device)
    return Brood(_evaluate(domain, births, genomes), sensitivities)


def scaled_to(operator: Operator, scales: Sequence[float]) -> Operator:
    """The operator with its divergence multiplied by a number for each parent."""
    if all(scale == 1 for scale in scales):
        return operator
    settings: Any = operator
    divergences = [settings.divergence * scale for scale in scales]
    scaled: Operator = dataclasses.replace(settings, divergence=divergences)
    return scaled


def mutate(operator: Operator, births: Sequence[Birth], device: Device = None) -> tuple[Any, list[Any]]:
    """Children (N, P) of N births with a parent, each from its own noise, and the parents' sensitivities.

    Tournaments pick the same parents again and again, so sensitivities that do not depend on the
    perturbation are computed once for each parent.
    """
    parents = [parent for birth in births if (parent := birth.parent) is not None]
    noise = [noise_source(birth.stream(Purpose.MUTATION), device) for birth in births]
    genomes = stacked([parent.genome for parent in parents], device)
    sensitivities: list[Any] = [None] * len(parents)
    arguments: dict[str, Any] = {"generator": noise}
    if _reuses(operator):
        sensitivities = _sensitivities(operator, births, parents, device)
        arguments["sensitivity"] = stacked(sensitivities, device)
    if _measures(operator):
        arguments |= {"experiences": _together(parents, device), "per_parent": True}
    with warnings.catch_warnings():
        # A saturated parent cannot be moved as far as it should; its child is evaluated all the same.
        warnings.simplefilter("ignore", DivergenceNotReached)
        return operator(genomes, **arguments), sensitivities


def _sensitivities(
    operator: Any, births: Sequence[Birth], parents: Sequence[Individual], device: Device
) -> list[Any]:
    """Each parent's own, computed together for those that have none yet.

    What is drawn for it is the parent's and not the child's, so that it does not matter which of its children
    is bred first, or bred in vain.
    """
    sensitivities: list[Any] = [parent.sensitivity for parent in parents]
    new = [lane for lane, sensitivity in enumerate(sensitivities) if sensitivity is None]
    if new:
        drawn = [
            stream(births[lane].seed, births[lane].run, parents[lane].born, Purpose.SENSITIVITY)
            for lane in new
        ]
        computed = operator.sensitivity(
            stacked([parents[lane].genome for lane in new], device),
            experiences=_together([parents[lane] for lane in new], device),
            per_parent=True,
            generator=[noise_source(one, device) for one in drawn],
        )
        for lane, sensitivity in zip(new, computed, strict=True):
            sensitivities[lane] = copied(sensitivity)
    return sensitivities


def travelling(operator: Operator, parent: Individual) -> Individual:
    """A parent with no more than its children are made of, for another process or machine."""
    measured = _measures(operator) or (_reuses(operator) and parent.sensitivity is None)
    sent = dataclasses.replace(parent.on_host(), behavior=None)
    return sent if measured else dataclasses.replace(sent, experiences=np.empty(0))


def _reuses(operator: Operator) -> bool:
    """Whether it takes sensitivities that were kept with the parents."""
    return getattr(operator, "reusable_sensitivity", False)


def _measures(operator: Operator) -> bool:
    """Whether every call of it needs the parents' experiences."""
    if getattr(operator, "divergence", None) is not None:  # which is measured on them
        return True
    return not _reuses(operator) and getattr(operator, "needs_experiences", True)


def _together(parents: Sequence[Individual], device: Device) -> Any:
    """The experiences of parents as arrays (N, I, ...) where all are alike, else as a list.

    On a device, where calls are dear, films that differ in their pictures' number only are made alike.
    """
    experiences = [parent.experiences for parent in parents]
    if device is not None and (films := together(experiences)) is not None:
        return films
    alike = len({tuple(array.shape for array in leaves(one)) for one in experiences}) == 1
    return map_together(np.stack, experiences) if alike else experiences


def _evaluate(domain: Domain, births: Sequence[Birth], genomes: Any) -> list[Individual]:
    evaluation = domain.evaluate(genomes)
    for name in ("fitness", "solved"):
        if (shape := np.shape(getattr(evaluation, name))) != (len(births),):
            raise ValueError(f"expected {domain.name} to give {name} of shape ({len(births)},), got {shape}")
    # Nothing compares with NaN: it would never be beaten. Of a genome that is not finite nothing can descend.
    sound = _finite(torch.as_tensor(genomes)) & ~np.isnan(evaluation.fitness)
    children = []
    for lane, birth in enumerate(births):
        experiences = evaluation.experiences[lane]
        _refuse_unsaveable(domain, "behavior", evaluation.behavior[lane])
        for part in experiences.values() if isinstance(experiences, dict) else [experiences]:
            _refuse_unsaveable(domain, "experiences", part)
        if (number := count(experiences)) > domain.experiences_kept:
            chance = birth.stream(Purpose.EXPERIENCES)
            chosen = chance.choice(number, domain.experiences_kept, replace=False)
            experiences = take(experiences, chosen)
        else:
            experiences = map_leaves(_of_its_own, experiences)
        children.append(
            Individual(
                copied(genomes[lane]),
                float(evaluation.fitness[lane]) if sound[lane] else -np.inf,
                bool(evaluation.solved[lane] and sound[lane]),
                experiences,
                evaluation.behavior[lane].copy(),
                born=birth.index,
            )
        )
    return children


def _finite(genomes: Tensor) -> np.ndarray:
    """Which of the genomes (N, P) have finite weights alone, (N,).

    Their extremes say so: NaN is both. Asking each weight takes half as long as a large network's episode.
    """
    return (genomes.amin(1).isfinite() & genomes.amax(1).isfinite()).cpu().numpy()


def _refuse_unsaveable(domain: Domain, name: str, value: Any) -> None:
    """Refuse at once what no checkpoint could hold."""
    if isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS):
        return
    wanted = "an array of numbers, or a dict of them," if name == "experiences" else "an array of numbers"
    found = f"one of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise ValueError(f"expected {domain.name} to give {name} as {wanted} for each genome, got {found}")


def _of_its_own(array: np.ndarray) -> np.ndarray:
    """Memory that no later evaluation writes into, and that keeps no whole batch alive."""
    return array.copy() if array.flags.writeable else array
