"""Sources of tasks: a file for each task family or named system; their names in a config are those of the files."""

from typing import TYPE_CHECKING

from metalqr.common.lazy import lazy_names

if TYPE_CHECKING:
    from metalqr.systems.catalogue import named, names
    from metalqr.systems.state_space import from_state_space

__all__ = ["from_state_space", "named", "names"]

__getattr__ = lazy_names(
    __name__,
    {
        "from_state_space": "metalqr.systems.state_space",
        "named": "metalqr.systems.catalogue",
        "names": "metalqr.systems.catalogue",
    },
)
