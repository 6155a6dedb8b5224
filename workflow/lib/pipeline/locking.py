"""The locks of a Snakemake that was killed: told from those of one that runs, so that nobody has to ask for --unlock.

Snakemake locks its folder with files, which it cannot remove when it is killed, and which do not say whose they are. So
every Snakemake here also holds a lock of the operating system, which ends with its process, whatever ends it.
"""

import fcntl
import os
import socket
from pathlib import Path

GUARD = "metalqr.lock"
_LONGEST_HOST = 1024

#: Kept open as long as the process lives: closing the file would free the lock.
_held: list[int] = []


def remove_stale_locks(folder: Path) -> bool:
    """Take the operating system's lock in Snakemake's own folder, and remove the lock files of a process that is gone.

    A lock file counts as left behind if nobody holds the operating system's lock and the last one who did was on this
    host: some shared file systems do not show other hosts' locks. In any doubt nothing is done, and Snakemake refuses
    the folder and says how to unlock it.

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
        guard = os.open(folder / GUARD, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # a folder that cannot be written, for a dry run
        return False
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by a process that lives, or not possible on this file system
        os.close(guard)
        return False
    host = socket.gethostname().encode()
    locks = list((folder / "locks").glob("*.lock"))
    if locks and os.pread(guard, _LONGEST_HOST, 0) != host:
        os.close(guard)
        return False
    for lock in locks:
        lock.unlink(missing_ok=True)
    os.ftruncate(guard, 0)
    os.pwrite(guard, host, 0)
    _held.append(guard)
    return bool(locks)
