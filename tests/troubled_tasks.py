"""Tasks that meet trouble, in a module that a worker imports in no time."""

import os
import signal
import struct
import sys
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


def die_while_answering_once(mark):
    """The first time end in the middle of an answer, which is a byte of a hundred; then 7."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return 7
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    queue = frame.f_locals["result_queue"]
    queue._wlock.acquire()  # as it is held while an answer is written
    os.write(queue._writer.fileno(), struct.pack("!i", 100) + b"1")
    os.kill(os.getpid(), signal.SIGKILL)
