"""The named systems by name, for use from Python."""

from typing import Any

from metalqr.config.problems import SettingsError, nearest
from metalqr.config.registries import families
from metalqr.systems.addresses import Address, Pool
from metalqr.systems.system import NamedSystem, System


def names() -> tuple[str, ...]:
    """The names of all named systems, in alphabetical order."""
    return tuple(sorted(plugin.name for plugin in families if issubclass(plugin, NamedSystem)))


def find(name: str) -> type[NamedSystem]:
    """The class of a named system.

    Raises
    ------
    LookupError
        If there is none of that name; the message names the nearest.
    """
    if name not in names():
        raise LookupError(f"there is no system {name!r}; {nearest(name, list(names()))}")
    plugin = families.get(name)
    assert issubclass(plugin, NamedSystem)
    return plugin


def named(name: str, **parameters: Any) -> System:
    """Build one of the named systems, with parameters in the units of its table.

    Raises
    ------
    LookupError
        If there is no system of that name.
    SettingsError
        If a parameter is unknown, or its value impossible: out of range, or a range or a list, which are several
        systems.

    Examples
    --------
    >>> bus = named("bus", speed=5.0)
    >>> bus.A.shape, bus.B.shape, bus.dt
    ((5, 5), (5, 1), 0.1)
    """
    plugin = find(name)
    settings = plugin.Settings(**parameters)
    family = plugin(settings)
    if family.count != 1 or settings.ranges:
        raise SettingsError(
            f"{name}: ranges and lists describe several systems; give each parameter a number (several are a family of "
            f"tasks, in a config tasks: {{family: {name}, ...}})"
        )
    return family.system(family.values(Address(Pool.TRAINING, 0), 0))
