"""Operators by the names of the paper."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, overload

from safe_mutation.gaussian import GaussianMutation
from safe_mutation.mutation import Mutation
from safe_mutation.presets import preset
from safe_mutation.smg import SMGSO, ReusableSensitivity, SMGAbs, SMGSum
from safe_mutation.smr import SMR

OPERATORS: dict[str, type[Mutation]] = {
    "control": GaussianMutation, "SM-R": SMR, "SM-G-ABS": SMGAbs, "SM-G-SUM": SMGSum, "SM-G-SO": SMGSO,
}  # fmt: skip


@overload
def make(
    name: Literal["SM-G-ABS", "SM-G-SUM"],
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> ReusableSensitivity: ...


@overload
def make(
    name: str,
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> Mutation: ...


def make(
    name: str,
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> Mutation:
    """Make an operator by the paper's name.

    Args:
        name: "control", "SM-R", "SM-G-ABS", "SM-G-SUM" or "SM-G-SO".
        network: As for the operators; the control needs none.
        intensity: The one number that the paper tunes: sigma, or for SM-R the divergence.
        domain: One of the paper's domains (see ``presets``), whose intensity, clip and SO direction are used
            unless they are given here.
        options: Passed on to the operator, for example ``weight_clip``.

    Raises:
        ValueError: If the name or domain is unknown; the message lists the known ones.
    """
    if name not in OPERATORS:
        raise ValueError(f"expected an operator out of {list(OPERATORS)}, got {name!r}")
    arguments = {field.name for field in fields(OPERATORS[name])}
    if domain is not None:
        settings = preset(domain)
        intensity = settings.intensity_of(name) if intensity is None else intensity
        for argument in ("weight_clip", "direction"):
            if argument in arguments:
                options.setdefault(argument, getattr(settings, argument))
    if intensity is None:
        raise ValueError(f"expected intensity or domain for {name}, got neither")
    options["sigma" if "sigma" in arguments else "divergence"] = intensity
    return OPERATORS[name](network, **options)
