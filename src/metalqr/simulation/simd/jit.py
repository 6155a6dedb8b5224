"""Decorators around ``numba.njit``, with a cache on disk that notices every change.

Numba recompiles a cached function when the file that defines it changes. But the compiled code contains functions of
other files too: after an edit of the random numbers, Numba would keep running rollouts that contain the old ones. And
the cache has an index that numbers the signatures of a function: two processes that add different ones at the same time
may both take number 1, and a third then loads code for other types. So each signature has a folder of its own, named by
a digest of the signature, the processor, the versions and all sources that compiled code can contain. Processes that
start together all write the same to it, each file atomically.
"""

import contextlib
import functools
import hashlib
import pickle
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core.caching import UserProvidedCacheLocator

_HERE = Path(__file__).parent


@functools.cache
def _build() -> str:
    """A digest of everything but the signature that compiled code depends on."""
    others = (_HERE.parent / "streams.py", _HERE.parent / "user" / "step_rollouts.py")
    sources = [path.read_bytes() for path in (*sorted(_HERE.glob("*.py")), *others)]
    processor = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    versions = numba.__version__, llvmlite.__version__, numba.config.CPU_NAME, numba.config.CPU_FEATURES
    return hashlib.sha256(b"\0".join([*sources, repr((processor, versions)).encode()])).hexdigest()


def _places() -> Iterator[Path]:
    """Folders where code may be cached: the user's choice, next to Python's own cache, or the user's cache folder."""
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR)
        return
    yield _HERE / "__pycache__"
    with contextlib.suppress(RuntimeError):  # nobody's home is known
        yield Path("~/.cache/metalqr").expanduser()


def _cache_folder(function: Callable[..., Any], types: tuple[Any, ...]) -> Path:
    """The folder of one signature, made and writable."""
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    identity = repr((function.__qualname__, closure, types, _build()))
    failures = []
    for place in _places():
        folder = place / f"metalqr-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as failure:
            failures.append(failure)
        else:
            return folder
    raise failures[-1]


class InFolder(UserProvidedCacheLocator):
    """Numba's files in ``numba.config.CACHE_DIR`` itself, whose name says what they were made of.

    Numba would ask for the place and the time of the sources too, so that a copy of the project compiled them again.
    """

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        self._cache_path = numba.config.CACHE_DIR

    def get_source_stamp(self) -> str:
        """Nothing: another name stands for other sources."""
        return ""


def _load_or_compile(function: Callable[..., Any], types: tuple[Any, ...], parallel: bool) -> Any:
    """Numba's dispatcher of the function, compiled for arguments of these types alone."""
    folder, name = None, function.__qualname__
    before = numba.config.CACHE_DIR, numba.config.CACHE_LOCATOR_CLASSES
    try:
        folder = _cache_folder(function, types)
        numba.config.CACHE_DIR, numba.config.CACHE_LOCATOR_CLASSES = str(folder), f"{__name__}.{InFolder.__name__}"
        # Numba numbers the functions of a process: of two processes, two that differ in their closures alone would
        # have the same symbols, and a third that loads both would fail.
        function.__qualname__ = f"{name}_{folder.name.rpartition('-')[2]}"
        return numba.njit(types, cache=True, parallel=parallel)(function)
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        if folder is not None:  # perhaps a damaged file; the next process begins anew
            shutil.rmtree(folder, ignore_errors=True)
        warnings.warn(
            f"compiled code cannot be cached ({error}), so every process spends half a minute compiling it again; "
            "set NUMBA_CACHE_DIR to a writable folder",
            RuntimeWarning,
            stacklevel=3,
        )
    finally:
        numba.config.CACHE_DIR, numba.config.CACHE_LOCATOR_CLASSES = before
        function.__qualname__ = name
    return numba.njit(types, parallel=parallel)(function)


def compiled(*, parallel: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function at its first call, for the types of that call's arguments, once for all processes.

    Further calls must have the same types. Of these only arrays are checked, not those in tuples, which takes Numba as
    long as a short rollout. ``parallel`` runs its ``numba.prange`` in threads.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        code: Callable[..., Any] | None = None
        forms: list[tuple[int, int, Any]] = []

        def call(*arguments: Any) -> Any:
            nonlocal code
            if code is None:
                if numba.config.DISABLE_JIT:
                    raise RuntimeError(
                        "NUMBA_DISABLE_JIT is set, but rollouts and random numbers need compiled code; unset it"
                    )
                types = tuple(map(numba.typeof, arguments))
                code = _load_or_compile(function, types, parallel).overloads[types].entry_point
                arrays = [(place, each) for place, each in enumerate(arguments) if isinstance(each, np.ndarray)]
                forms.extend((place, each.ndim, each.dtype) for place, each in arrays)
            for place, ndim, dtype in forms:
                array = arguments[place]
                if array.ndim != ndim or array.dtype != dtype or not array.flags.c_contiguous:
                    raise TypeError(
                        f"{function.__name__} is compiled for an array of {ndim} dimensions of {dtype} in one piece as "
                        f"argument {place}, not for one of {array.ndim} of {array.dtype}"
                    )
            return code(*arguments)

        return call

    return decorate


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into the compiled functions that call it."""
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
