"""The parameters that a module's genome holds, and refusing those that none can be written into."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """What is in a genome, by name: tied parameters once, none that is frozen or empty.

    Raises:
        ValueError: If there is none.
    """
    found = {name: p for name, p in module.named_parameters() if p.requires_grad and p.numel()}
    if not found:
        raise ValueError(f"expected trainable parameters, got a {type(module).__name__} without any")
    return found


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


def refuse_unwritable(parameters: Mapping[str, Tensor]) -> None:
    """Refuse parameters, by name, that do not keep what is written into them, before anything is.

    Raises:
        ValueError: If one was made in inference mode, is expanded, or shares memory with another.
    """
    for name, parameter in parameters.items():
        if parameter.is_inference() and not torch.is_inference_mode_enabled():
            raise ValueError(
                f"expected parameters that can be written to, got {name!r}, which was made in inference "
                "mode: copy.deepcopy(module) outside of that can be"
            )
        steps = zip(parameter.shape, parameter.stride(), strict=True)
        if any(stride == 0 and size > 1 for size, stride in steps):
            raise ValueError(
                f"expected parameters with a place in memory for each number, got {name!r}, which is "
                "expanded: clone it"
            )
    before: list[tuple[int, int, int, str]] = []
    for extent in sorted((*_extent(parameter), name) for name, parameter in parameters.items()):
        place, start, _, name = extent
        before = [other for other in before if other[0] == place and other[2] > start]
        for *_, other in before:
            if _overlap(parameters[name], parameters[other]):
                raise ValueError(
                    f"expected parameters with memory of their own, got {other!r} and {name!r} in the same: "
                    "tie them as one parameter of both layers"
                )
        before.append(extent)


def _extent(parameter: Tensor) -> tuple[int, int, int]:
    """The storage, and the first and behind the last place in it that may be the parameter's."""
    start = int(parameter.storage_offset())
    reach = sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
    return parameter.untyped_storage().data_ptr(), start, start + int(reach) + 1


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one storage, which may be columns of one matrix, have places in common."""
    numbers = torch.arange(max(_extent(first)[2], _extent(second)[2]))
    both = (numbers.as_strided(one.shape, one.stride(), one.storage_offset()) for one in (first, second))
    return bool(torch.isin(*(places.reshape(-1) for places in both)).any())
