"""The one way this package compiles a kernel.

Every kernel is compiled by numba for one core, with C's rules for division, and kept on disk
(`code_cache.py`) so that only the first use after installation pays for compilation. A process that can write
neither beside the package nor below the user's home (containers, clusters) compiles in memory
instead. A kernel may call those of its own file and those that the file imports by name: the cache notices
when any of these files changes, and when a number or an array does that the file imports.

Kernels assign elements, never slices: for a slice numba compiles the text of the error that its shape might
raise, which takes longer than all the rest.

NUMBA_DISABLE_JIT, by which others look into kernels of their own, does not reach ours: Python's arithmetic is
another, and a picture would take it seconds.
"""

from collections.abc import Callable, Set
from contextlib import suppress
from typing import Any

import numba

from gym_safemaze.code_cache import CodeCache


def kernel(function: Callable, fastmath: Set[str] = frozenset()) -> Callable:
    """Compile `function` with numba on its first call (a decorator).

    Args:
        function: a pure function of arrays and numbers that writes its results into the arrays it is given.
        fastmath: liberties that the compiler may take with its arithmetic, as numba names them. Any of them
            lets results depend on the processor: no environment grants one, nor should what an agent decides
            with.

    Returns:
        The compiled function, called like the original.
    """
    # A kernel with liberties becomes a part of those that call it. As a function of its own it would be there
    # several times, arranged differently, and which one is called would depend on what came first: code just
    # compiled would add up in another order than code from disk.
    inline = bool(fastmath)
    settings: Any = numba.config  # its names are made when it is imported
    disabled, settings.DISABLE_JIT = settings.DISABLE_JIT, 0
    try:
        compiled = numba.njit(error_model="numpy", fastmath=set(fastmath), forceinline=inline)(function)
    finally:
        settings.DISABLE_JIT = disabled
    with suppress(RuntimeError):  # no folder for the cache can be written
        compiled._cache = CodeCache(function, "-".join(sorted(fastmath)))  # type: ignore[attr-defined]  # numba has no public place
    return compiled
