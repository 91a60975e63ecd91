"""The annotations say what calls return, and refuse what they cannot take."""

import re
import runpy
from pathlib import Path

from mypy import api

TYPED = Path(__file__).parent / "typed"
ROOT = Path(__file__).parents[1]


def test_a_users_script_passes_strictly_and_runs_and_mistakes_are_seen(capsys, monkeypatch) -> None:
    """In one go: reading torch takes mypy half a minute."""
    scripts = [str(TYPED / name) for name in ("user_script.py", "mistakes.py")]
    monkeypatch.chdir(ROOT)
    options = ["--strict", "--config-file=setup.cfg", "--cache-dir=.mypy_cache/strict", "--no-error-summary"]
    out, error, _ = api.run([*options, *scripts])
    assert not error
    seen = re.findall(r"(\w+)\.py:(\d+): error", out)
    assert {script for script, _ in seen} == {"mistakes"}, out
    lines = (TYPED / "mistakes.py").read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if "nonsense" in line)
    assert {int(number) for _, number in seen} == set(range(first, len(lines) + 1)), out
    runpy.run_path(scripts[0])
    assert "torch.Size([2, 8])" in capsys.readouterr().out
