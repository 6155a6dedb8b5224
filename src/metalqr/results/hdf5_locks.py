"""No locks of the HDF5 library on files, unless the user wants them.

A file is private until it is renamed, and complete afterwards, so nobody needs its lock; and some file systems, such as
NFS without a lock daemon, have none. The library reads the variable when netCDF4 is imported, which xarray does late.
"""

import fcntl
import os
import sys
import tempfile
from pathlib import Path

_VARIABLE = "HDF5_USE_FILE_LOCKING"
#: The value that turns locks off, for a message.
NO_LOCKS = f"{_VARIABLE}=FALSE"

if "netCDF4" not in sys.modules:
    os.environ.setdefault(_VARIABLE, "FALSE")
_LOCKED = os.environ.get(_VARIABLE) not in ("FALSE", "0")


def failure(path: Path) -> str:
    """Return why the library cannot lock a file, or a new one in a folder; empty if it can, or does not lock."""
    try:
        with tempfile.TemporaryFile(dir=path) if path.is_dir() else path.open("rb") as file:
            fcntl.flock(file, (fcntl.LOCK_EX if path.is_dir() else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return f"it cannot be locked: {error.strerror}" if _LOCKED else ""
    return ""
