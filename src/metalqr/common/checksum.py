"""A checksum at the end of a file, so that a damaged one is refused before the netCDF library sees it.

HDF5, which reads netCDF, can end the whole process without a message on a damaged file, and does not notice damage
among the numbers themselves. It ignores what follows the end of its own data.
"""

import hashlib
import os
from pathlib import Path

_MARK = b"\nmetalqr-sha256:"
#: Bytes of the mark and the checksum.
LENGTH = len(_MARK) + hashlib.sha256().digest_size * 2
_CHUNK = 1 << 20


def append_checksum(path: Path) -> None:
    """Append the checksum of the file to it."""
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_MARK + digest)


def is_damaged(path: Path) -> bool:
    """Return True if the file's checksum does not match; foreign and truncated files carry none and return False."""
    size = path.stat().st_size
    if size < LENGTH:
        return False
    with path.open("rb") as file:
        file.seek(-LENGTH, os.SEEK_END)
        end = file.read()
    return end.startswith(_MARK) and end[len(_MARK) :] != _digest(path, size - LENGTH)


def _digest(path: Path, length: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length > 0 and (chunk := file.read(min(_CHUNK, length))):
            digest.update(chunk)
            length -= len(chunk)
    return digest.hexdigest().encode()
