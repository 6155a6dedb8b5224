"""A checksum at the end of a file, so that a damaged one is refused before the netCDF library sees it.

The HDF5 library, which reads netCDF, may end the whole process without a message on a file with damaged bytes, and
damage among the numbers themselves it does not notice. It takes no notice of what follows the end of its own data.
"""

import hashlib
import os
from pathlib import Path

_MARK = b"\nmetalqr-sha256:"
_DIGEST_LENGTH = 64
#: Bytes of the checksum and its mark.
LENGTH = len(_MARK) + _DIGEST_LENGTH
_CHUNK = 1 << 20


def seal(path: Path) -> None:
    """Append the checksum of the file to it."""
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_MARK + digest)


def is_damaged(path: Path) -> bool:
    """Whether the file has a checksum, and another content. A file of another program has none, nor has one cut off."""
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
