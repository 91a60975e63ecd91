"""The settings of the paper's experiments: intensities of table S1, step clip and SO direction.

The clip comes from the published code. Its code for the pixel domains is unpublished; no clip is
used there because recurrent networks hardly evolve with one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What the paper used in one domain.

    Attributes:
        intensity: For each operator the deviation sigma, or for SM-R the divergence.
        weight_clip: Largest step of one weight; None for no limit.
        direction: Direction of SM-G-SO: "raw" as in the paper's formula, or "unit" as in its code.
    """

    intensity: dict[str, float]
    weight_clip: float | None
    direction: str = "raw"


PRESETS = {
    "toy": Preset(
        {"control": 0.01, "SM-R": 0.5, "SM-G-ABS": 0.5, "SM-G-SUM": 0.5, "SM-G-SO": 0.5}, weight_clip=10.0
    ),
    "recurrent-parity": Preset(
        {"control": 0.05, "SM-R": 0.005, "SM-G-ABS": 0.001, "SM-G-SUM": 0.001, "SM-G-SO": 0.001},
        weight_clip=None,
    ),
    "breadcrumb-hard-maze": Preset(
        {"control": 0.05, "SM-R": 0.005, "SM-G-ABS": 0.005, "SM-G-SUM": 0.1, "SM-G-SO": 0.01}, weight_clip=0.2
    ),
    "large-scale": Preset({"control": 0.01, "SM-G-SUM": 0.1, "SM-G-SO": 0.01}, weight_clip=0.2),
    "topdown-maze": Preset({"control": 0.1, "SM-G-SUM": 0.01, "SM-G-SO": 0.01}, weight_clip=None),
    "first-person-maze": Preset({"control": 0.005, "SM-G-SUM": 0.01, "SM-G-SO": 0.01}, weight_clip=None),
}


def preset(name: str, domain: str) -> tuple[float, Preset]:
    """The intensity of an operator in one of the paper's domains, and that domain's other settings.

    Raises:
        ValueError: If the domain is unknown, or the paper did not use the operator in it.
    """
    if domain not in PRESETS:
        raise ValueError(f"expected domain to be one of {sorted(PRESETS)}, got {domain!r}")
    intensity = PRESETS[domain].intensity
    if name not in intensity:
        raise ValueError(
            f"expected one of the operators with a published intensity in {domain!r}, {sorted(intensity)}, "
            f"got {name!r}: give intensity= yourself"
        )
    return intensity[name], PRESETS[domain]
