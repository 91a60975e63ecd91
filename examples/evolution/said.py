"""What a search says on standard error, as far as anybody takes it: no search ends for want of a listener."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any


class Said:
    """Standard error as a file that never fails, be it closed, or on a disk that is full."""

    def write(self, text: str) -> None:
        """Say something."""
        with suppress(OSError, ValueError, AttributeError):  # there may be no standard error
            sys.stderr.write(text)

    def flush(self) -> None:
        """Say it now."""
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


SAID = Said()
