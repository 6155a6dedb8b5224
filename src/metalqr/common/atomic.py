"""Atomic writes, and the removal of what killed writers left behind."""

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
#: Age after which a temporary file of another host is no longer in use.
_MAX_SECONDS = 86_400


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file, which replaces `path` atomically when the block ends and is removed if the block fails.

    It is in the same folder, made if missing, because a rename is atomic within one file system only. File and folder
    are synchronised with the disk.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = f".{target.name}.{socket.gethostname()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=mine, suffix=_SUFFIX, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp ignores the umask
        _synchronise(temporary)
        temporary.replace(target)
        _synchronise(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def discard_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed writers of `path` left behind.

    Those of processes of this host that no longer run, and those of other hosts after a day.
    """
    target = Path(path)
    prefix = f".{target.name}."
    for leftover in target.parent.glob(f"{glob.escape(prefix)}*{_SUFFIX}"):
        host, _, process = leftover.name.removeprefix(prefix).rpartition("-")[0].rpartition("-")
        with contextlib.suppress(FileNotFoundError):
            if host == socket.gethostname() and process.isdecimal():
                abandoned = not _runs(int(process))
            else:
                abandoned = time.time() - leftover.stat().st_mtime > _MAX_SECONDS
            if abandoned:
                leftover.unlink()


def _runs(process: int) -> bool:
    """Whether a process can still write. One that was killed has an entry until its parent asks how it ended."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    except FileNotFoundError:  # ended meanwhile; or a system without these files, as macOS
        return not Path("/proc/self/stat").exists()
    return state not in (b"Z", b"X")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
