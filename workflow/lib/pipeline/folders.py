"""The folder that Snakemake runs in."""

import os
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
            f"{folder}: nothing can be written there, and Snakemake keeps its records in the folder it runs in; make "
            "it writable, or name another folder with --directory"
        )
