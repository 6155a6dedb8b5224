"""Registries of plug-ins: files in a folder of metalqr, and files that the config names.

A plug-in is one file. Its name in the config is the name under which it registers, and for the plug-ins of metalqr that
is the name of the file as well, so the names are known without importing anything. The config's ``plugins`` adds files
beside it, which may register under any name that is free.

A file in the folder that registers nothing under its own name is code that the plug-ins share.

Planning imports all plug-ins. So a plug-in imports Numba, SciPy, xarray and Matplotlib inside its
functions only, and whatever of metalqr imports these.
"""

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from metalqr.config import settings
from metalqr.config.problems import nearest

P = TypeVar("P", bound="Plugin")
Q = TypeVar("Q", bound="Plugin")

#: The pattern of a name, which becomes a folder or a file, and the rule in words for messages.
NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
NAME_RULE = "use at most 64 letters, digits, '-' and '_', the first a letter or digit"


class UnknownNameError(LookupError):
    """No plug-in has that name; the message names those that exist."""


class PluginError(ValueError):
    """A file of plug-ins cannot be used; the message names it and the reason."""


class Plugin:
    """Base of all plug-ins.

    Attributes
    ----------
    name : str
        Under which it is registered; set by the registry.
    source : Path
        The file that defines it; set by the registry.
    Settings : type
        The settings that this plug-in has beside those that all share: a class derived from
        :class:`metalqr.config.settings.Settings`. They stand among the others in the config.
    """

    name: ClassVar[str]
    source: ClassVar[Path]

    class Settings(settings.Settings):
        """No further settings."""

    @classmethod
    def refusals(cls, settings: Any) -> Iterator[tuple[str, str]]:
        """Settings of a run that this plug-in does not support: the name of each, and the reason with the next step."""
        yield from ()


class Registry(Generic[P]):
    """The plug-ins of one kind, such as ``"estimator"``; those of metalqr itself are modules of a package.

    ``base`` is the name of their base class; by default, the last word of the kind. Plug-ins of metalqr are also in the
    ``subpackages`` of the package.
    """

    #: All registries by kind, for code that needs all plug-ins.
    all: ClassVar[dict[str, "Registry[Any]"]] = {}

    def __init__(self, kind: str, package: str, base: str | None = None, subpackages: Iterable[str] = ()) -> None:
        self.kind = kind
        self._base = base or kind.split()[-1].capitalize()
        self._packages = (package, *(f"{package}.{each}" for each in subpackages))
        self._registered: dict[str, type[P]] = {}
        Registry.all[kind] = self

    def register(self, name: str) -> Callable[[type[Q]], type[Q]]:
        """Decorate the class of a plug-in: it is then known under this name.

        Raises
        ------
        PluginError
            If it is no class of a plug-in, or its name cannot be that of a file; if another file has registered that
            name, or metalqr has a plug-in of that name.
        """

        def decorate(plugin: type[Q]) -> type[Q]:
            source = Path(getattr(sys.modules[plugin.__module__], "__file__", None) or "")  # a notebook has none
            named = f"the {self.kind} {name!r}"
            if not isinstance(name, str) or not re.fullmatch(NAME, name):
                problem = f"{name!r} is not a valid {self.kind} name; {NAME_RULE}"
            elif not isinstance(plugin, type) or not issubclass(plugin, Plugin):
                problem = f"{named} is not a class derived from {self._base}; derive it from that"
            elif not issubclass(plugin.Settings, settings.Settings):
                base = "metalqr.config.settings.Settings"
                problem = f"Settings of {named} is not derived from {base}; derive it from that"
            elif (name in self._registered and self._registered[name].source != source) or (
                name in self._own_modules and plugin.__module__ != self._own_modules[name]
            ):
                problem = f"there is another {self.kind} {name!r}; choose another name"
            else:
                plugin.name, plugin.source = name, source
                self._registered[name] = plugin  # type: ignore[assignment] # of the kind, or its first use fails
                return plugin
            raise PluginError(f"{source}: {problem}")

        return decorate

    def names(self) -> tuple[str, ...]:
        """All names: metalqr's own, then those that were registered by other files."""
        return tuple(dict.fromkeys([*self._own_modules, *self._registered]))

    def get(self, name: str) -> type[P]:
        """The class of a plug-in.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if name not in self._registered and name in self._own_modules:
            importlib.import_module(self._own_modules[name])
        try:
            return self._registered[name]
        except KeyError:
            known = list(self.names())
            raise UnknownNameError(f"{name!r} is not a known {self.kind}; {nearest(name, known)}") from None

    def __iter__(self) -> Iterator[type[P]]:
        return (self.get(name) for name in self.names())

    @cached_property
    def _own_modules(self) -> dict[str, str]:
        """The modules of metalqr's own plug-ins by name; the other files in the folders are shared code."""
        found = {}
        for package in self._packages:
            spec = importlib.util.find_spec(package)
            folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
            for path in sorted(path for folder in folders for path in folder.glob("[a-z]*.py")):
                if f'.register("{path.stem}")' in path.read_text("utf-8"):
                    found[path.stem] = f"{package}.{path.stem}"
        return found


def load_plugins(files: Iterable[str | Path], folder: Path) -> None:
    """Import files of plug-ins that a user has written, each once; their paths are relative to the folder.

    Raises
    ------
    PluginError
        If a file is missing, or ends in an error when it is imported.
    """
    for file in files:
        path = (folder / file).resolve()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PluginError(f"plugins: {file}: it cannot be read ({error.strerror}); looked for {path}") from None
        module = f"metalqr_plugin_{path.stem}_{hashlib.sha256(content).hexdigest()[:12]}"
        if module in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(module, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"plugins: {file}: not a Python file; its name must end in .py")
        sys.modules[module] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[module])
        except (Exception, SystemExit) as error:
            del sys.modules[module]
            reason = str(error).removeprefix(f"{path}: ")
            if not isinstance(error, PluginError):
                frames = traceback.extract_tb(error.__traceback__)
                place = [f"line {frame.lineno}: " for frame in frames if frame.filename == str(path)][-1:]
                reason = " ".join(f"{''.join(place)}{type(error).__name__}: {error}; correct the file".split())
            raise PluginError(f"plugins: {file}: {reason}") from error
