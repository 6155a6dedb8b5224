"""Writing a file whole or not at all."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".tmp"


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file to write in place of `path`: on the disk and renamed when the block ends, gone if it fails.

    It is in the same folder, which is made if it is missing, because a rename works within one file system only.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_prefix(target), suffix=_SUFFIX, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _synchronise(temporary)
        temporary.replace(target)
        _synchronise(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def discard_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of `path` have left; only where no other process writes it now."""
    target = Path(path)
    for leftover in target.parent.glob(f"{glob.escape(_prefix(target))}*{_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _umask() -> int:
    """The process' mask for new files, which `mkstemp` does not follow."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
