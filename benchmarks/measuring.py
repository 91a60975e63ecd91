"""What all benchmarks measure with: processor time, the peak of memory, processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cpu_time(work: Callable[[], object]) -> float:
    """Seconds of processor time that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def wall_time(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds(function: Callable[[], Any]) -> float:
    """Processor time of a call; short ones are repeated, the caches being warm."""
    once = cpu_time(function)
    return once if once > 0.05 else cpu_time(lambda: [function() for _ in range(5)]) / 5


class PeakMemory:
    """The most memory that was resident during a block above what was before, on Linux."""

    megabytes = 0.0
    most = 0  # kilobytes of the whole process

    def __enter__(self) -> PeakMemory:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        self._before = self._kilobytes("VmRSS")
        return self

    def __exit__(self, *error: object) -> None:
        self.most = self._kilobytes("VmHWM")
        self.megabytes = (self.most - self._before) / 1024

    @staticmethod
    def _kilobytes(name: str) -> int:
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
        return int(line.split()[1])


def fresh_process(program: str) -> str:
    """What a program prints in a process of its own, with one torch thread, which finds the same modules."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", f"import torch; torch.set_num_threads(1); {program}"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
