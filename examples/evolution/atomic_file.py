"""Files that are there whole or not at all, whenever a process is killed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np


def write_atomically(path: Path, content: bytes) -> None:
    """Put content into path so that a kill at any moment leaves the old file or the new one."""
    with open(draft := path.with_name(path.name + ".part"), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Put content into a JSON file, as atomically; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=indent) + "\n").encode())


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Put arrays into an uncompressed ``.npz``, as atomically."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())
