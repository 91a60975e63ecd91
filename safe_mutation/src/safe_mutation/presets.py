"""The settings of the paper's experiments: intensities of table S1, step clip and SO direction.

The clip comes from the published code, which has none for SM-R and the recurrent networks; the code
of the pixel domains is unpublished, and none is used there because their networks hardly evolve
with one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What the paper used in one domain.

    Attributes:
        domain: The domain's name.
        intensity: For each operator the deviation sigma, or for SM-R the divergence.
        weight_clip: SM-G: largest step of one weight; None for no limit.
        direction: SM-G-SO: "raw" as in the paper's formula, or "unit" as in its code.
    """

    domain: str
    intensity: dict[str, float]
    weight_clip: float | None
    direction: str = "raw"

    def intensity_of(self, operator: str) -> float:
        """The intensity of an operator.

        Raises:
            ValueError: If the paper did not use it in this domain.
        """
        if operator not in self.intensity:
            raise ValueError(
                f"expected an operator with a published intensity in {self.domain!r}, "
                f"{list(self.intensity)}, or intensity=..., got {operator!r}"
            )
        return self.intensity[operator]


PRESETS = {
    preset.domain: preset
    for preset in (
        Preset(
            "toy",
            {"control": 0.01, "SM-G-SUM": 0.5, "SM-G-ABS": 0.5, "SM-G-SO": 0.5, "SM-R": 0.5},
            weight_clip=10.0,
        ),
        Preset(
            "recurrent-parity",
            {"control": 0.05, "SM-G-SUM": 0.001, "SM-G-ABS": 0.001, "SM-G-SO": 0.001, "SM-R": 0.005},
            weight_clip=None,
        ),
        Preset(
            "breadcrumb-hard-maze",
            {"control": 0.05, "SM-G-SUM": 0.1, "SM-G-ABS": 0.005, "SM-G-SO": 0.01, "SM-R": 0.005},
            weight_clip=0.2,
        ),
        *(
            Preset(
                f"large-scale-{depth}", {"control": 0.01, "SM-G-SUM": 0.1, "SM-G-SO": 0.01}, weight_clip=0.2
            )
            for depth in (32, 64, 101)
        ),
        Preset("topdown-maze", {"control": 0.1, "SM-G-SUM": 0.01, "SM-G-SO": 0.01}, weight_clip=None),
        Preset("first-person-maze", {"control": 0.005, "SM-G-SUM": 0.01, "SM-G-SO": 0.01}, weight_clip=None),
    )
}


def preset(domain: str) -> Preset:
    """The settings of one of the paper's domains.

    Raises:
        ValueError: If the domain is unknown; the message lists the known ones.
    """
    if domain not in PRESETS:
        raise ValueError(f"expected domain to be one of {list(PRESETS)}, got {domain!r}")
    return PRESETS[domain]
