"""The README's table of what works is what the operators do."""

import pytest
import torch

from support_table import README, table


@pytest.mark.skipif(
    not torch.__version__.startswith("2.13."), reason="other versions of torch take other ways"
)
def test_the_readme_has_the_table() -> None:
    found = table()
    assert "| no |" not in found
    assert found in README.read_text(), (
        "run: python tests/support_table.py, and put its output into the README"
    )
