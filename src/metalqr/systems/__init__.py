"""Sources of tasks: a file for each task family or named system; their names in a config are those of the files."""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.systems.catalogue import named, names

__all__ = ["named", "names"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "metalqr.systems.catalogue"))
