"""Names of a package that are imported when first used (PEP 562), so that importing the package stays light."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package: for each name the module that defines it; ``module:`` is that module itself."""

    def find(name: str) -> Any:
        if name in homes:
            home, is_module, _ = homes[name].partition(":")
            module = importlib.import_module(home)
            return module if is_module else getattr(module, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
