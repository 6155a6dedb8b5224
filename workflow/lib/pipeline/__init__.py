"""What the Snakefile needs beyond rules and the config: digests of sources, and checks of the folder."""

import inspect
from collections.abc import Callable
from typing import Any

from pipeline.folder import FolderError, remove_stale_locks, require_writable
from pipeline.sources import Sources

__all__ = ["FolderError", "Sources", "quick", "remove_stale_locks", "require_writable"]


def quick(function: Callable[..., Any]) -> Callable[..., Any]:
    """Function with its signature at hand, for params, resources and priorities.

    Snakemake looks up the signature several times a job, and Python makes it anew each time, for a method or a lambda
    expression in 60 microseconds: a sixth of the time of planning ten thousand runs.
    """

    def call(*arguments: Any, **more: Any) -> Any:
        return function(*arguments, **more)

    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call
