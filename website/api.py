"""The pages of the library: one for each package, with all that is public in it, from the docstrings."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any, NamedTuple

import metalqr

ROOT = Path(__file__).resolve().parents[1]
#: Commands are described by ``metalqr --help`` and by the pages of docs/; nothing of the kernel is for other programs.
LEFT_OUT = ("metalqr.commands", "metalqr.simulation.simd")
_ROLES = {"class": "class", "exception": "exc", "function": "func", "data": "data"}
_IMPORT = re.compile(r"(?:from|import) (metalqr(?:\.\w+)*)(?: import ([\w, ]+))?")


class Entry(NamedTuple):
    """A public name, in full, with its value and the module that defines it."""

    name: str
    value: Any
    home: str

    @property
    def kind(self) -> str:
        """What autodoc calls it."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if inspect.isroutine(self.value) else "data"


def pages() -> dict[str, str]:
    """The pages in reStructuredText, by path."""
    packages = {package: list(_entries(package)) for package in _packages()}
    owners = _owners(packages)
    found = {}
    for package, entries in packages.items():
        if entries:
            sections = _sections(package.__name__, entries, owners)
            lines = [*_head(package.__name__, "="), f".. automodule:: {package.__name__}", "", *sections]
            found[f"api/{package.__name__}.rst"] = "\n".join(lines) + "\n"
    named = [package.__name__ for package, entries in packages.items() if entries and hasattr(package, "__all__")]
    others = [package.__name__ for package, entries in packages.items() if entries and not hasattr(package, "__all__")]
    found["api/index.rst"] = "\n".join(
        [
            *_head("The library", "="),
            "From the docstrings. These packages have the names that programs are meant to import:",
            *_toctree(named),
            "The modules of these have what plug-ins, and programs on top of metalqr, can use besides:",
            *_toctree(others),
        ]
    )
    return found


def _packages() -> Iterator[ModuleType]:
    yield metalqr
    for info in pkgutil.walk_packages(metalqr.__path__, "metalqr."):
        if info.ispkg and not info.name.startswith(LEFT_OUT):
            yield importlib.import_module(info.name)


def _entries(package: ModuleType) -> Iterator[Entry]:
    """The names of ``__all__``, and what modules define: all modules without ``__all__``, else those in use."""
    for name in getattr(package, "__all__", ()):
        value = getattr(package, name)
        if not inspect.ismodule(value):
            yield Entry(f"{package.__name__}.{name}", value, _home(value, package))
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        is_public = info.name in _used() or not hasattr(package, "__all__")
        if is_public and not info.ispkg and not info.name.rpartition(".")[2].startswith("_"):
            yield from _defined(importlib.import_module(info.name))


@cache
def _used() -> set[str]:
    """The modules that the documentation and the examples import."""
    found = set()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.py")):
        for module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
            found |= {module, *(f"{module}.{name.split()[0]}" for name in names.split(",") if name.strip())}
    return found


def _defined(module: ModuleType) -> Iterator[Entry]:
    """What a module defines and documents, in its order."""
    for name, value in vars(module).items():
        is_code = inspect.isclass(value) or inspect.isroutine(value)
        if is_code and value.__module__ == module.__name__ and value.__doc__ and not name.startswith("_"):
            yield Entry(f"{module.__name__}.{name}", value, module.__name__)


def _home(value: Any, package: ModuleType) -> str:
    """The module that defines a value; its package for data, which do not know their module."""
    return str(value.__module__) if inspect.isclass(value) or inspect.isroutine(value) else package.__name__


def _owners(packages: Mapping[ModuleType, list[Entry]]) -> dict[int, str]:
    """For each value its one name that is described; by the other names, a page only links to it.

    It is described where it is defined: in the package with most of the name of its module.
    """
    found: dict[int, tuple[int, str]] = {}
    for package, entries in packages.items():
        for entry in entries:
            nearness = len(package.__name__) if f"{entry.home}.".startswith(f"{package.__name__}.") else 0
            found[id(entry.value)] = max(found.get(id(entry.value), (-1, "")), (nearness, entry.name))
    return {value: name for value, (_, name) in found.items()}


def _sections(package: str, entries: list[Entry], owners: Mapping[int, str]) -> Iterator[str]:
    by_home: dict[str, list[Entry]] = {}
    for entry in entries:
        by_home.setdefault(entry.home, []).append(entry)
    for home, group in by_home.items():
        described = [entry for entry in group if owners[id(entry.value)] == entry.name]
        linked = [entry for entry in group if entry not in described]
        if described:
            yield from _head(home.removeprefix(f"{package}."), "-")
        # In a package without __all__, where names are those of its modules.
        if described and described[0].name.rpartition(".")[0] == home != package:
            yield from (f".. automodule:: {home}", "")
        for entry in described:
            yield from _directive(entry)
        for entry in linked:
            yield from (f"``{entry.name}`` is :{_ROLES[entry.kind]}:`{owners[id(entry.value)]}`.", "")


def _directive(entry: Entry) -> list[str]:
    if isinstance(entry.value, GenericAlias):  # for which autodoc would show the signature of NumPy's class
        return [f".. py:data:: {entry.name}", "", f"   ``{entry.value}``", ""]
    option = {"class": ["   :members:"], "exception": ["   :members:"], "data": ["   :no-value:"]}.get(entry.kind, [])
    return [f".. auto{entry.kind}:: {entry.name}", *option, ""]


def _head(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]


def _toctree(names: list[str]) -> list[str]:
    return ["", ".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in names), ""]
