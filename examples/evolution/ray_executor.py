"""Ray as an executor: its workers on this machine, or on all machines of a cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import evolution
import gym_safemaze
import safe_mutation

REACHED_WITHIN = 5.0  # seconds
INLINE = "RAY_max_direct_call_object_size"  # genomes of up to 1 MiB go with the call: three times as fast


class RayExecutor(Executor):
    """Runs functions as tasks of Ray.

    Args:
        address: Of a running cluster, "HOST:PORT" or "auto"; None starts Ray on this machine.
        workers: CPUs to start Ray with; all by default.

    Raises:
        OSError: If there is no cluster at the address, after a few seconds.
        ModuleNotFoundError: If Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        os.environ.setdefault(INLINE, str(2**20))
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{error}: pip install -r examples/requirements-ray.txt") from error
        self._ray = ray
        self._remote: dict[Callable[..., Any], Any] = {}
        if address not in (None, "auto"):
            _require_listener(str(address))
        packages = (evolution, gym_safemaze, safe_mutation)
        ours = [str(Path(str(package.__file__)).parent) for package in packages]
        try:
            ray.init(
                address=address,
                num_cpus=None if address else workers,
                include_dashboard=None if address else False,
                runtime_env={"py_modules": ours},  # the machines of a cluster need no copy of the repository
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise OSError(f"expected a Ray cluster at {address}, got {str(error).splitlines()[0]}") from error

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task."""
        if fn not in self._remote:
            self._remote[fn] = self._ray.remote(num_cpus=1, max_retries=1)(fn)
        future: Future[Any] = self._remote[fn].remote(*args, **kwargs).future()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; a Ray that was started here ends."""
        self._ray.shutdown()


def _require_listener(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise OSError(f"expected a Ray cluster as HOST:PORT or auto, got {address!r}")
    try:
        socket.create_connection((host, int(port)), REACHED_WITHIN).close()
    except OSError as error:
        raise OSError(f"expected a Ray cluster at {address}, got {error}") from error
