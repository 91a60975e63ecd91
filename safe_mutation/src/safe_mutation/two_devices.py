"""Refusing modules whose parameters are spread over devices: a genome lies on one."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def refuse_two_devices(parameters: Mapping[str, Tensor]) -> None:
    """Refuse parameters, by name, that lie on several devices.

    Raises:
        ValueError: If they do.
    """
    first: dict[str, str] = {}
    for name, parameter in parameters.items():
        first.setdefault(str(parameter.device), name)
    if len(first) > 1:
        found = " and ".join(f"{name!r} on {device}" for device, name in first.items())
        raise ValueError(
            f"expected parameters on one device, got {found}: a genome lies on one, so move the module "
            "with .to(device)"
        )
