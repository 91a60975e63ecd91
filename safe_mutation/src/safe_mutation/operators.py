"""Operators by the names of the paper."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, overload

from safe_mutation.gaussian import GaussianMutation
from safe_mutation.mutation import Mutation
from safe_mutation.presets import preset
from safe_mutation.smg import ReusableSensitivity
from safe_mutation.smg_operators import SMGSO, SMGAbs, SMGRms, SMGSum
from safe_mutation.smr import SMR

OPERATORS: dict[str, type[Mutation]] = {
    "control": GaussianMutation, "SM-R": SMR, "SM-G-ABS": SMGAbs, "SM-G-SUM": SMGSum, "SM-G-SO": SMGSO,
    "SM-G-RMS": SMGRms,
}  # fmt: skip


@overload
def make(
    name: Literal["control"],
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> GaussianMutation: ...


@overload
def make(
    name: Literal["SM-R"],
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> SMR: ...


@overload
def make(
    name: Literal["SM-G-SO"],
    network: Any = None,
    *,
    intensity: float | None = None,
    domain: str | None = None,
    **options: Any,
) -> SMGSO: ...


@overload
def make(
    name: Literal["SM-G-ABS", "SM-G-SUM", "SM-G-RMS"],
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
        name: "control", "SM-R", "SM-G-ABS", "SM-G-SUM", "SM-G-SO", or "SM-G-RMS" (not in the paper).
        network: As for the operators; the control needs none.
        intensity: The one number that the paper tunes: sigma, or for SM-R the divergence.
        domain: One of the paper's domains (see ``presets``), whose intensity, clip and SO direction are used
            unless they are given here.
        options: Passed on to the operator, for example ``divergence`` in place of the intensity.

    Raises:
        ValueError: If the name or domain is unknown, the message lists the known ones; if there is no
            intensity, or more than one.
    """
    if name not in OPERATORS:
        raise ValueError(f"expected an operator out of {list(OPERATORS)}, got {name!r}")
    arguments = {field.name for field in fields(OPERATORS[name])}
    told = "divergence" in options or "sigma" in options
    if domain is not None:
        settings = preset(domain)
        for argument in ("weight_clip", "direction"):
            if argument in arguments:
                options.setdefault(argument, getattr(settings, argument))
        if intensity is None and not told:
            intensity = settings.intensity_of(name)
    if intensity is not None:
        strength = "sigma" if "sigma" in arguments else "divergence"
        if options.get(strength) is not None:
            given = f"intensity={intensity!r} and {strength}={options[strength]!r}"
            raise ValueError(f"expected intensity or {strength} for {name}, which are the same, got {given}")
        options[strength] = intensity
    elif not told:
        raise ValueError(f"expected intensity, divergence or domain for {name}, got none of them")
    return OPERATORS[name](network, **options)
