"""The locks of a Snakemake that was killed: told from those of one that runs, so that nobody has to ask for --unlock.

Snakemake locks its folder with files, which it cannot remove when it is killed, and which do not say whose they are. So
every Snakemake here also holds a lock of the operating system, which ends with its process, whatever ends it.
"""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

#: Kept open as long as the process lives: closing the file would free the lock.
_held: list[int] = []


def remove_stale_locks(folder: Path) -> bool:
    """Take the operating system's lock in Snakemake's own folder, and remove the lock files of a process that is gone.

    Every Snakemake shares the lock of its host while it lives. One that for a moment gets it alone knows that no other
    lives, and that a lock file is left behind; unless Snakemake has run in this folder on another host as well, whose
    lock may not be visible here. In any doubt nothing is done, and Snakemake refuses the folder and says how to unlock
    it.

    Parameters
    ----------
    folder : Path
        `.snakemake` in the working directory.

    Returns
    -------
    bool
        Whether lock files were removed.
    """
    try:
        folder.mkdir(exist_ok=True)
        # Not inherited by the jobs: they may outlive this process.
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
    _held.append(guard)
    return removed


def guard_name(host: str = "") -> str:
    """The file in `.snakemake` that carries the lock of a host, by default of this one."""
    return f"metalqr.{host or socket.gethostname()}.lock"
