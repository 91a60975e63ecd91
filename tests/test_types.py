"""The annotations say what calls return, and refuse what they cannot take."""

import re
import runpy
from pathlib import Path

from mypy import api

TYPED = Path(__file__).parent / "typed"


def mypy(script: str) -> tuple[str, int]:
    root = Path(__file__).parents[1]
    out, error, status = api.run(
        ["--strict", "--config-file", str(root / "setup.cfg"), "--no-error-summary", str(TYPED / script)]
    )
    assert not error
    return out, status


def test_a_users_script_passes_strictly_and_runs(capsys) -> None:
    assert mypy("user_script.py") == ("", 0)
    runpy.run_path(str(TYPED / "user_script.py"))
    assert "torch.Size([2, 8])" in capsys.readouterr().out


def test_mistakes_are_seen() -> None:
    out, _ = mypy("mistakes.py")
    lines = (TYPED / "mistakes.py").read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if "nonsense" in line)
    refused = {int(number) for number in re.findall(r"mistakes\.py:(\d+): error", out)}
    assert refused == set(range(first, len(lines) + 1)), out
