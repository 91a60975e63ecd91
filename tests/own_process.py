"""Programs in processes of their own."""

import os
import subprocess
import sys


def run_anew(*arguments, **settings):
    """What Python prints, started with these settings and none of this process's for numba."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=kept | settings | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
