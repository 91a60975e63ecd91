"""Programs in processes of their own, forked from one that has imported what takes seconds to import.

Nothing of the tests' own process is in them, as if they had been started anew: they are forked from a server
that knows nothing but other people's libraries.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["torch.fx.experimental.symbolic_shapes", "numba.np.arraymath", "scipy.stats", "matplotlib.pyplot"]
)


class Forked:
    """A program that runs by itself.

    Args:
        program: Python code, run as a script.
        arguments: Of its command line.
        paths: Where it finds modules.
    """

    def __init__(self, program, *arguments, paths=sys.path):
        self.said = tempfile.TemporaryDirectory()
        words = ["-c", *map(str, arguments)]
        state = (program, words, list(map(str, paths)), dict(os.environ), self.said.name)
        self.process = CONTEXT.Process(target=run, args=state)
        self.process.start()

    def poll(self):
        """Its exit status, minus the signal that ended it, or None while it runs."""
        return self.process.exitcode

    def wait(self, timeout=120):
        """Wait for its end, once.

        Returns:
            Its exit status, its output and its errors.
        """
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running after {timeout} s"
        output, errors = ((Path(self.said.name) / name).read_text() for name in ("output", "errors"))
        self.said.cleanup()
        return self.process.exitcode, output, errors

    def send_signal(self, number):
        """Send it a signal."""
        os.kill(self.process.pid, number)


def run(program, words, paths, environment, said):
    """What the process does."""
    for handle, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(Path(said) / name, os.O_CREAT | os.O_WRONLY), handle)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:], sys.argv = paths, words
    exec(compile(program, "a program", "exec"), {"__name__": "__main__"})
