"""A champion as the weights of a plain ``torch.nn.Module``, to be used without any of this.

module = build_the_network()
module.load_state_dict(torch.load("champion.pt", weights_only=True))
module.load_state_dict(safetensors.torch.load_file("champion.safetensors"))  # or this
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evolution.atomic_file import rewritten


def state_dict(network: Any, genome: np.ndarray) -> dict[str, Tensor] | None:
    """The weights (P,) of a genome by the names of the network's module; None if it has no module.

    A network has one if its ``module()`` makes a plain nn.Module whose parameters, one after the other, are
    the genome.
    """
    if not hasattr(network, "module"):
        return None
    module: nn.Module = network.module()
    nn.utils.vector_to_parameters(torch.from_numpy(genome.copy()), module.parameters())
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def write_state_dict(path: Path, weights: dict[str, Tensor]) -> None:
    """Write weights for ``torch.load(path, weights_only=True)``."""
    with rewritten(path) as file:
        torch.save(weights, file)


def write_safetensors(path: Path, weights: dict[str, Tensor]) -> None:
    """Write float32 weights in the format of safetensors: a length, a JSON header, and all numbers."""
    header, end = {}, 0
    for name, tensor in weights.items():
        start, end = end, end + tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with rewritten(path) as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for tensor in weights.values():
            file.write(tensor.to(torch.float32).contiguous().numpy().astype("<f4").tobytes())
