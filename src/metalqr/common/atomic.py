"""Writing a file whole or not at all."""

import contextlib
import glob
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".tmp"
#: Time in which a temporary file of another host may still be in use.
_SECONDS_TO_TRUST = 86_400


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file to write in place of `path`: on the disk and renamed when the block ends, gone if it fails.

    It is in the same folder, which is made if it is missing, because a rename works within one file system only.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = f"{_prefix(target)}{socket.gethostname()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=mine, suffix=_SUFFIX, dir=target.parent)
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
    """Remove the temporary files that killed writers of `path` have left.

    Those of processes of this host that live no more, and those of other hosts after a day.
    """
    target = Path(path)
    for leftover in target.parent.glob(f"{glob.escape(_prefix(target))}*{_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if _is_left(leftover, _prefix(target)):
                leftover.unlink()


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _is_left(temporary: Path, prefix: str) -> bool:
    """Whether nobody writes a temporary file any more, by the host and the process in its name."""
    host, _, rest = temporary.name.removeprefix(prefix).rpartition("-")[0].rpartition("-")
    if host != socket.gethostname() or not rest.isdecimal():
        return time.time() - temporary.stat().st_mtime > _SECONDS_TO_TRUST
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, and is another user's
        return False
    return False


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
