"""How the package compiles: decorators around ``numba.njit`` with a cache on disk that notices every change.

Numba stores compiled code under the file and line of the function, and compiles it again when *that file* changes. But
the compiled code contains the functions it calls, from other files too: after an edit of the random numbers, Numba
alone would go on with roll-outs that contain the old ones. Here the name of a stored function carries a digest of all
sources that can be part of it.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile

_SOURCES = ("compiled.py", "kernel.py", "lanes.py", "normals.py", "random.py")


def _digest() -> str:
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]


_DIGEST = _digest()


def compiled(*, parallel: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, once for all processes; ``parallel`` runs its ``numba.prange`` in threads."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(cache=True, parallel=parallel)(function)
        cache = dispatcher._cache
        cache._cache_file = IndexDataCacheFile(cache.cache_path, f"metalqr-{function.__name__}-{_DIGEST}", _DIGEST)
        return dispatcher

    return decorate


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into the compiled functions that call it."""
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
