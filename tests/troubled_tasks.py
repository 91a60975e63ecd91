"""Tasks that meet trouble, in a module that a worker imports in no time."""

import time


def hang_once(mark):
    """Hang if a file is missing, which is made, or else give back 3."""
    if not mark.exists():
        mark.touch()
        time.sleep(1000)
    return 3


def fail(error):
    raise error


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def fail_strangely():
    raise Unpicklable("a", "b")
