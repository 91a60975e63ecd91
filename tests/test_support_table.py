"""The README's table of what works is what the operators do."""

import pytest
import torch

from network_kinds import Kind
from support_table import HEADER, README, ROWS, row


def the_table() -> list[str]:
    _, after = README.read_text().split(HEADER)
    return after.split("\n\n")[0].strip().splitlines()


@pytest.mark.skipif(
    not torch.__version__.startswith("2.13."), reason="other versions of torch take other ways"
)
@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_the_readme_has_the_row(kind: Kind) -> None:
    found = row(kind)
    assert "| no |" not in found
    assert found in the_table(), "run: python tests/support_table.py, and put its output into the README"


def test_the_readme_has_no_other_row() -> None:
    assert [line.split(" | ")[0] for line in the_table()] == [f"| {kind.name}" for kind in ROWS]
