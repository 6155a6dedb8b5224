"""How the package compiles: decorators around ``numba.njit`` with a store on disk that notices every change.

Numba stores compiled code under the file and line of the function, and compiles it again when *that file* changes. But
the compiled code contains the functions it calls, from other files too: after an edit of the random numbers, Numba
alone would go on with roll-outs that contain the old ones. And it numbers the signatures of a function in an index:
two processes that add different ones at the same time may both take number 1, and a third gets code for other types.
Here every signature has a file, whose name is a digest of the signature, the processor, the versions and all sources
that can be part of the code; it is written whole or not at all. So any number of processes may start together.
"""

import hashlib
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.serialize import dumps

from metalqr.common import atomic

_SOURCES = ("jit.py", "kernel.py", "lanes.py", "normals.py", "vector.py", "../streams.py")


def _digest() -> str:
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in _SOURCES)).hexdigest()


_VERSIONS = (_digest(), numba.__version__, llvmlite.__version__)


class _Store:
    """The stored code of one function, in place of Numba's index: what ``numba.core.caching`` calls a cache file."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def _path(self, key: Any) -> Path:
        digest = hashlib.sha256(repr((key, _VERSIONS)).encode()).hexdigest()
        return self._folder / f"metalqr-{self._name}-{digest[:32]}.nbc"

    def load(self, key: Any) -> Any:
        """What is stored for a key (signature, processor, closure), None if there is nothing to use."""
        try:
            return pickle.loads(self._path(key).read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save(self, key: Any, data: Any) -> None:
        try:
            atomic.write(self._path(key), dumps(data))
        except OSError as error:
            _warn_of_compiling_again(error)

    def flush(self) -> None:
        """Remove all that is stored."""
        for path in self._folder.glob(f"metalqr-{self._name}-*.nbc"):
            path.unlink(missing_ok=True)


def _warn_of_compiling_again(reason: Exception) -> None:
    warnings.warn(
        f"compiled code cannot be stored ({reason}), so every process spends half a minute to compile it again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
        stacklevel=3,
    )


def compiled(*, parallel: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, once for all processes; ``parallel`` runs its ``numba.prange`` in threads."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = numba.njit(cache=True, parallel=parallel)(function)
        except RuntimeError as error:  # no folder can be written
            _warn_of_compiling_again(error)
            return numba.njit(parallel=parallel)(function)
        cache = dispatcher._cache
        cache._cache_file = _Store(Path(cache.cache_path), function.__name__)
        return dispatcher

    return decorate


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into the compiled functions that call it."""
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
