"""The folder that Snakemake runs in: the right to write there, and the locks of a Snakemake that was killed."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path


class FolderError(OSError):
    """Snakemake cannot run in a folder; the message names it and the next step."""


def require_writable(folder: Path) -> None:
    """Refuse a folder in which Snakemake would end with a traceback.

    Raises
    ------
    FolderError
        If it is not writable, unless Snakemake has left its records there before: a dry run works with these.
    """
    if not (folder / ".snakemake").exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise FolderError(
            f"{folder}: not writable, but Snakemake keeps its records in the folder it runs in; make it writable, or "
            "choose another with --directory"
        )


def require_plain(root: Path) -> None:
    """Refuse a folder of the Snakefile in whose path Snakemake would look for wildcards.

    Raises
    ------
    FolderError
        If the path has a brace.
    """
    if set("{}") & set(str(root)):
        raise FolderError(
            f"{root}: Snakemake reads braces in this path as wildcards; move the project to another folder"
        )


def remove_stale_locks(folder: Path) -> bool:
    """Remove the lock files of a Snakemake that was killed, so that nobody needs --unlock; True if there were any.

    Snakemake locks its folder with files that outlive it and do not say whose they are. So every Snakemake here also
    shares a lock of the operating system, which ends with its process. One that gets it alone knows that no other lives
    on this host. If Snakemake has run in the folder on another host as well, whose locks may not be visible here, the
    files stay: Snakemake then refuses the folder and says how to unlock it. The folder is `.snakemake` in the working
    directory.
    """
    try:
        folder.mkdir(exist_ok=True)
        # Never closed, so it is held as long as the process lives; and not inherited by jobs, which may outlive it.
        guard = os.open(folder / guard_name(), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # a folder that cannot be written, for a dry run
        return False
    removed = False
    with contextlib.suppress(OSError):  # held by a process that lives, or not possible on this file system
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if [path.name for path in folder.glob(guard_name("*"))] == [guard_name()]:
            for lock in (folder / "locks").glob("*.lock"):
                lock.unlink(missing_ok=True)
                removed = True
    with contextlib.suppress(OSError):
        fcntl.flock(guard, fcntl.LOCK_SH)
    return removed


def guard_name(host: str = "") -> str:
    """Name of the file in `.snakemake` that carries the lock of a host, by default of this one."""
    return f"metalqr.{host or socket.gethostname()}.lock"
