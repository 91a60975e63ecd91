"""Files that are there whole or not at all, and that are not believed when they are damaged.

A process that is killed leaves the old file or the new one. Every file carries a SHA-256 of its whole
content, compared before anything else is read: an ``.npz`` as the comment of the zip archive (numpy reads
it as any other), a JSON file under the name ``sha256``. Nothing is pickled and nothing is compressed, so
that reading a file never runs code and never takes more memory than the file is large.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

DRAFT = ".part"  # ending of what is not yet whole, after characters that nobody else puts there
RANDOM = 8  # of these
COMMENT = b"sha256 "
DIGEST = 64  # characters
CHUNK = 2**20  # bytes hashed at a time
END_OF_ZIP = b"PK\x05\x06"
NUMBERS = "biuf"  # kinds of dtype that are read


class Joined:
    """Arrays of one dtype that stand for all their numbers in a row (total,), without copying them yet.

    Args:
        arrays: Any shapes.
    """

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays
        if len({array.dtype for array in arrays}) > 1:
            self.arrays = [np.concatenate([array.ravel() for array in arrays])]
        self.dtype = self.arrays[0].dtype if arrays else np.dtype(np.float32)
        self.shape = (sum(array.size for array in self.arrays),)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = np.concatenate([np.zeros(0, self.dtype), *(array.ravel() for array in self.arrays)])
        return values if dtype is None else values.astype(dtype)


Arrays = Mapping[str, np.ndarray | Joined]


@contextmanager
def rewritten(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """A new file, open for writing and reading, that takes the place of path when all went well.

    Args:
        path: The file.
        keep: Where the old file is kept.

    Raises:
        OSError: If it cannot be written, for instance on a full disk; the message names the file.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(RANDOM // 2)}{DRAFT}")
    try:
        with open(draft, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(draft, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Put content into a file."""
    with rewritten(path) as file:
        file.write(content)


def write_json(path: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Put content into a JSON file, as atomically; its folder is made if there is none."""
    signed = {**content, "sha256": _digest_of(content)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(signed, indent=indent) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file, without its checksum.

    Files without a checksum are those that earlier versions wrote, which had no record.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    with _damage_named(path):
        content = dict(json.loads(path.read_bytes()))
        digest = content.pop("sha256", None)
        if digest != _digest_of(content) and (digest is not None or "record" in content):
            raise ValueError("its content does not have its checksum")
        return content


def write_npz(path: Path, arrays: Arrays, keep: Path | None = None) -> None:
    """Put arrays into an uncompressed ``.npz``, as atomically.

    Args:
        path: The file.
        arrays: By name.
        keep: Where the old file is kept.
    """
    with rewritten(path, keep) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    _write_array(member, array)
            archive.comment = COMMENT + b"0" * DIGEST
        digest = _digest_before_the_last(DIGEST, file)
        file.seek(-DIGEST, os.SEEK_END)
        file.write(digest)


def read_npz(path: Path) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays of an ``.npz``, and whether it carries a checksum: those of earlier versions do not.

    Raises:
        ValueError: If the file is damaged or holds anything but plain numbers; the message names it.
    """
    with open(path, "rb") as file, _damage_named(path):
        signed = _check_digest(file)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it has compressed members")
            if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
                raise ValueError("its members claim to be larger than the file")
            arrays = {
                member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members
            }
            if len(arrays) != len(members):
                raise ValueError("two of its members have one name")
            return arrays, signed


def require_writable(folder: Path) -> None:
    """Make sure, before hours of work, that files can be put into a folder, made if there is none.

    Raises:
        OSError: If they cannot; the message names the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def remove_drafts(folder: Path, name: str = "*") -> None:
    """Remove what killed processes have left of a file, by default of any; nobody else may write it."""
    for draft in folder.glob(f"{name}.{'[0-9a-f]' * RANDOM}{DRAFT}"):
        if draft.is_file():
            draft.unlink()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """What fails while a file is read becomes a ValueError that names it, if the file can be at fault."""
    try:
        yield
    except (MemoryError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # what a damaged file can raise, nobody has a list of
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: its own numbers lead nowhere
            raise
        raise ValueError(f"{path} is damaged: {str(error) or type(error).__name__}") from error


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest_before_the_last(bytes_left_out: int, file: IO[bytes]) -> bytes:
    left = file.seek(0, os.SEEK_END) - bytes_left_out
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        digest.update(chunk := file.read(min(CHUNK, left)))
        left -= len(chunk)
    return digest.hexdigest().encode()


def _check_digest(file: IO[bytes]) -> bool:
    """Compare a zip archive with the checksum at its end; False if it was written without one."""
    size = file.seek(0, os.SEEK_END)
    tail = 22 + len(COMMENT) + DIGEST  # the record at the end of an archive has 22 bytes and the comment
    file.seek(max(size - tail, 0))
    end = file.read()
    if end[-22:].startswith(END_OF_ZIP):
        return False
    if end[-DIGEST - len(COMMENT) : -DIGEST] != COMMENT:
        raise ValueError("it does not end as an .npz")
    if end[-DIGEST:] != _digest_before_the_last(DIGEST, file):
        raise ValueError("its content does not have its checksum")
    return True


def _write_array(member: IO[bytes], array: np.ndarray | Joined) -> None:
    parts = array.arrays if isinstance(array, Joined) else [array]
    dtype, shape = array.dtype, array.shape
    if dtype.kind not in NUMBERS:
        raise ValueError(f"expected arrays of plain numbers, got {dtype}")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    for part in parts:
        if part.size:
            member.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{member.filename} has an array of format {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        expected = math.prod(shape) * dtype.itemsize
        if dtype.kind not in NUMBERS or min(shape, default=0) < 0:
            raise ValueError(f"{member.filename} has {dtype} of shape {shape}")
        if expected != member.file_size - file.tell():
            raise ValueError(f"{member.filename} has too few or too many bytes for {dtype} of shape {shape}")
        values = np.frombuffer(bytearray(file.read()), dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _sync_folder(folder: Path) -> None:
    """A renamed file outlives a loss of power only when its folder is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network drives have it for files only
            raise
    finally:
        os.close(handle)
