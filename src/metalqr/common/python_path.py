"""The order in which Python looks for libraries: those of the lock first."""

import os
import site
import sys
from pathlib import Path


def installed_first() -> None:
    """Move folders that the user's environment adds behind those of the installed libraries.

    PYTHONPATH, which modules of a cluster set, and the user's own site-packages would otherwise replace the locked
    libraries unnoticed. What is found there alone, such as a module that a plug-in imports, is still found. A folder
    that holds metalqr itself stays where it is.
    """
    added = {Path(folder).absolute() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    if site.ENABLE_USER_SITE:
        added.add(Path(site.getusersitepackages()))
    moved = {folder for folder in added if not (folder / "metalqr").is_dir()}
    sys.path.sort(key=lambda folder: bool(folder) and Path(folder).absolute() in moved)
