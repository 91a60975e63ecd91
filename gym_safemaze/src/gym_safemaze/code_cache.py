"""The compiled code that numba keeps on disk, which must never be the reason that nothing runs.

numba's own cache raises when the disk is full, stops with an unnamed error at a file that was cut off, and
runs the machine code of a damaged one. This one keeps a checksum, names what it cannot use, and goes on
compiling.

It derives from numba's classes. Apart from their public methods it uses `_cache_file` and `_impl`, in one
place, and `_Intrinsic`.
"""

import hashlib
import inspect
import os
import pickle
import warnings
from typing import Any

import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps
from numba.extending import _Intrinsic


class CheckedFile(IndexDataCacheFile):
    """The index and data files of one kernel, each entry with its checksum."""

    def save(self, key: Any, data: Any) -> None:
        """Keep one compiled form of the kernel, in place of a damaged one."""
        content = dumps(data)
        entry = _checksum(key, content), content
        try:
            super().save(key, entry)
        except OSError:
            raise
        except Exception:  # the index is damaged
            self.flush()
            super().save(key, entry)

    def load(self, key: Any) -> Any:
        """Return a compiled form that was kept, or None.

        Raises:
            Exception: of whatever kind a damaged file leads to.
        """
        entry = super().load(key)
        if entry is None:
            return None
        checksum, content = entry
        if checksum != _checksum(key, content):
            raise ValueError("its checksum is wrong")
        return pickle.loads(content)


class CodeCache(FunctionCache):
    """The compiled forms of one kernel; where they cannot be read or written the kernel is compiled anew.

    A kernel is compiled anew, too, when its file has changed, or that of a kernel or a numba intrinsic that
    its file imports, or a number or an array that its file imports.

    Args:
        function: the kernel, not compiled.
        options: what else decides how it is compiled, as a part of file names.

    Raises:
        RuntimeError: where no folder can be written, neither beside the package nor below the user's home.
    """

    def __init__(self, function: Any, options: str = "") -> None:
        super().__init__(function)
        self.module = function.__module__
        self.files = f"{self._impl.filename_base}{options}.checked"
        source = self._impl.locator.get_source_stamp()
        self.stamp = source, options, _stamps_of_what_it_imports(function), _constants(function)
        self._cache_file = CheckedFile(self.cache_path, self.files, self.stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled form for one signature, or None if it has to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            self._warn("cannot be used", error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled form for one signature."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._warn("cannot be written", error)
            self.disable()

    def _warn(self, problem: str, error: Exception) -> None:
        warnings.warn(
            f"the compiled code in {self.cache_path}/{self.files}.* {problem} "
            f"({error or type(error).__name__}): compiling it for this process",
            RuntimeWarning,
            stacklevel=2,
        )


def _stamps_of_what_it_imports(function: Any) -> list[Any]:
    """What tells versions of the files apart that a kernel's module has imported code from, by name."""
    found = [(name, _stamp(value, function.__module__)) for name, value in function.__globals__.items()]
    return sorted((name, stamp) for name, stamp in found if stamp is not None)


def _stamp(value: Any, module: str) -> Any:
    """What tells versions of a kernel or an intrinsic of another module apart; of anything else nothing."""
    if isinstance(value, _Intrinsic) and value.__module__ != module:
        file = os.stat(inspect.getfile(inspect.unwrap(value)))
        return file.st_mtime, file.st_size
    cache = getattr(value, "_cache", None)
    return cache.stamp if isinstance(cache, CodeCache) and cache.module != module else None


def _constants(function: Any) -> str:
    """What tells the numbers and arrays apart that a kernel's module knows by name: they become code."""
    numbers = {name: _number(value) for name, value in function.__globals__.items()}
    known = sorted(name for name, number in numbers.items() if number is not None)
    return hashlib.sha256(repr([(name, numbers[name]) for name in known]).encode()).hexdigest()


def _number(value: Any) -> Any:
    """What to compare of a number, an array, or a tuple of them; of anything else nothing."""
    if isinstance(value, (int, float, np.number)):
        return repr(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.dtype.str, value.shape, value.tobytes()
    return tuple(map(_number, value)) if isinstance(value, tuple) else None


def _checksum(key: Any, content: bytes) -> bytes:
    return hashlib.sha256(repr(key).encode() + content).digest()
