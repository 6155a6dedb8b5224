"""The folder that the paths in a config are relative to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_FOLDER: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def relative_to(folder: Path) -> Iterator[None]:
    """Paths that are :func:`located` meanwhile are relative to this folder, otherwise to the working directory."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def located(path: str) -> Path:
    """Where a path of a config is.

    Raises
    ------
    ValueError
        If a relative path leaves the folder, which a copy of the folder would lack; an absolute one says so.
    """
    folder = (_FOLDER.get() or Path.cwd()).resolve()
    found = (folder / path).resolve()
    if not Path(path).is_absolute() and not found.is_relative_to(folder):
        raise ValueError(f"{path!r} leaves the folder of the config; move the file there, or write {str(found)!r}")
    return found
