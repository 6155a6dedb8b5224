"""Paths of a class or function of the user's: in a file, ``my.py:Name``, or in an installed module."""


def split(path: str) -> tuple[str, str]:
    """The file or module, and the name in it, empty if there is none: ``my.py:Name``, ``package.module:Name``."""
    place, _, name = path.rpartition(":")
    return (place, name) if place else (path, "")
