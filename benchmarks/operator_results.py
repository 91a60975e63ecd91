"""The measured times and memory of the operators: operators.json, and its tables."""

from __future__ import annotations

import json
import platform
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import processor
from operator_cases import NETS, OPERATORS

from evolution.atomic_file import write_atomically
from paper.markdown import markdown_table

RESULTS = Path(__file__).with_name("operators.json")
NUMBERS = ("1", "20", "100", "250")  # of parents
DEVICES = {"cpu": "", "cuda": ", GPU"}


def load() -> dict[str, Any]:
    """The results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def save(section: str, key: str, value: Any) -> None:
    """Add one result."""
    results = load()
    on_gpu = section.endswith(" cuda")
    results["machine cuda" if on_gpu else "machine"] = {
        **({"card": torch.cuda.get_device_name()} if on_gpu else {}),
        "processor": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": 1,
    }
    results.setdefault(section, {})[key] = value
    write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())


def tables(results: dict[str, Any]) -> str:
    """All results as Markdown, one table after the other."""
    made = [
        _times(results.get("time", {})),
        _memory(results.get("memory", {})),
        *(_scaling(results.get(f"scaling {on}", {}), f"weights{name}") for on, name in DEVICES.items()),
        _default(results.get("default", {})),
        _in_place(results.get("in place", {})),
        *(_population(results.get(f"population {on}", {}), f"parents{name}") for on, name in DEVICES.items()),
    ]
    return "\n".join(table for table in made if table)


def _table(titles: list[str], rows: list[list[str]]) -> str:
    return markdown_table(titles, rows) if rows else ""


def _times(found: dict[str, Any]) -> str:
    rows = []
    for net, operator in product(NETS, OPERATORS):
        if row := found.get(f"{net}: {operator}"):
            ours, published = row["ours_ms"], row["published_ms"]
            cells = [_cell(ours, n, published) for n in NUMBERS]
            if "4" in ours:
                cells[1] = "N = 4: " + _cell(ours, "4", published)
            rows.append([net, operator, _time(published), *cells])
    return _table(["network", "operator", "published", *(f"N = {n}" for n in NUMBERS)], rows)


def _memory(found: dict[str, Any]) -> str:
    rows = []
    for key, row in found.items():
        (_, published), (_, one), (most, many) = row.items()
        sizes = [f"{published:.0f} MB", f"{one:.0f} MB", f"N = {most}: {many:.0f} MB"]
        rows.append([*key.split(": "), *sizes])
    return _table(["network", "operator", "peak memory, published", "N = 1", "N parents"], rows)


def _scaling(found: dict[str, Any], title: str) -> str:
    operators = ("control", *OPERATORS)
    rows = [
        [f"{row['weights']:,}"]
        + [f"{_time(row[f'{op} ms'])}, {max(0.0, row[f'{op} MB']):.0f} MB" for op in operators]
        for row in found.values()
    ]
    return _table([title, *operators], rows)


def _default(found: dict[str, Any]) -> str:
    rows = []
    for net, row in found.items():
        cells = [_ratio(row[n]) if n in row else "" for n in NUMBERS]
        if "4" in row:
            cells[1] = "N = 4: " + _ratio(row["4"])
        rows.append([net, *cells])
    return _table(["SafeMutation / SM-G-SUM", *(f"N = {n}" for n in NUMBERS)], rows)


def _in_place(found: dict[str, Any]) -> str:
    rows = []
    for key, row in found.items():
        sizes = [f"{row[name] / 1024:.1f} GB" for name in ("added MB", "process MB")]
        rows.append([f"{row['weights']:,}", key.split(": ")[1], f"{row['seconds']:.3g} s", *sizes])
    return _table(["weights, bfloat16", "operator", "time", "peak, added", "peak, process"], rows)


def _population(found: dict[str, Any], title: str) -> str:
    rows = [[f"{row['parents']:.0f}", *(_time(row[op]) for op in OPERATORS)] for row in found.values()]
    return _table([title, *OPERATORS], rows)


def _cell(milliseconds: dict[str, float], number: str, published: float) -> str:
    if number not in milliseconds:
        return ""
    return f"{_time(milliseconds[number])} ({_ratio(published / milliseconds[number])})"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 999.5 else f"{milliseconds / 1e3:.3g} s"


def _ratio(value: float) -> str:
    return f"{value:,.0f}x" if value >= 10 else f"{value:.1f}x"
