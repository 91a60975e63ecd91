"""Reading the file that a `maze=` argument names.

Whoever passes the argument need not be allowed to read every file, so nothing of a file is shown in a message
unless it is recognisably a maze.
"""

import os
from pathlib import Path

#: Larger files are not opened.
LARGEST_FILE = 10_000_000


def read_maze_file(path: str | os.PathLike[str], known: list[str]) -> str:
    """Return the text of a maze file.

    Args:
        path: its path.
        known: names that would have been accepted in its place, for the message.

    Raises:
        ValueError: there is no such file, it is too large, or it holds no text.
    """
    try:
        file = Path(path)
        found = file.is_file()
    except (OSError, ValueError):  # a name that no file can have
        found = False
    if not found:
        raise ValueError(f"expected a maze file or one of {known}, got {str(path)[:200]!r}")
    size = file.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"expected a maze file of at most {LARGEST_FILE} bytes, got {size} in {str(path)!r}")
    try:
        return file.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark of its encoding
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"cannot read the maze file {str(path)!r}: {reason}") from None
