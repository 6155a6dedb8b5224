"""The saved state of a run that has not ended: a killed job goes on from there, to the same result."""

import hashlib
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from metalqr.common import atomic
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks
from metalqr.results.files import PathLike, StorageError, dataset_of, load, provenance, save
from metalqr.results.layout import SEED, Attribute, Kind, Layout
from metalqr.results.runs import RUNS, Status
from metalqr.training.history import History
from metalqr.training.observers import Observer

SAVED_STATES = Layout(
    "saved_states",
    "State of a training run that has not ended",
    RUNS.variables,
    {
        "settings": Attribute(Kind.JSON),
        "seed": SEED,
        **dict.fromkeys(("tasks", "initial_gain", "code"), Attribute()),
    },
)
#: What the names of a method's memory begin with in a file.
_MEMORY = "memory_"
#: Saving takes no more than this share of the time, however large the state.
_MAX_SHARE = 0.05

_log = logging.getLogger(__name__)


class InterruptionError(RuntimeError):
    """The run was told to stop by a signal; the message says what was saved."""


class SavedState:
    """The file of a run's state. It is loaded only for the run that it was saved by.

    Parameters
    ----------
    path : path
    tasks : LQRTasks
    K0 : ndarray, shape (k, d)
    settings : MetaSettings
    seed : int
    code : mapping
        What identifies the version of the code, for example digests of its files by name. The versions of the
        libraries are looked up.
    """

    def __init__(
        self,
        path: PathLike,
        tasks: LQRTasks,
        K0: ArrayLike,
        settings: MetaSettings,
        seed: int,
        code: Mapping[str, str],
    ) -> None:
        self.path = Path(path)
        matrices = ("A", "B", "Q", "R", "Psi", "Sigma0", "p")
        self._run = {
            "settings": json.dumps(settings.changed()),
            "seed": seed,
            "tasks": _digest(*(getattr(tasks, name) for name in matrices)),
            "initial_gain": _digest(K0),
            "code": hashlib.sha256(json.dumps(dict(code), sort_keys=True).encode()).hexdigest(),
        }

    def load(self) -> History | None:
        """The saved state; None where there is none, or where it cannot be used, which the log then explains."""
        atomic.discard_leftovers(self.path)
        if not self.path.exists():
            return None
        try:
            dataset = load(self.path, SAVED_STATES)
        except StorageError as error:
            _log.warning("%s cannot be used, so training starts afresh: %s", self.path, error.reason)
            return None
        wanted = {**provenance(SAVED_STATES), **self._run}
        others = [name for name, value in wanted.items() if dataset.attrs.get(name) != value]
        if others:
            changed = ", ".join(name.replace("_", " ") for name in others)
            _log.warning("%s is of a run with other %s, so training starts afresh", self.path, changed)
            return None
        arrays = {name: dataset[name].values for name in SAVED_STATES.variables}
        memory = {
            str(name).removeprefix(_MEMORY): dataset[name].values for name in dataset if str(name).startswith(_MEMORY)
        }
        iteration = dataset.sizes["iteration"] - 1
        _log.info("going on from iteration %d, saved in %s", iteration, self.path)
        return History(**arrays, status=Status.INTERRUPTED, status_iteration=iteration, memory=memory)

    def save(self, history: History) -> None:
        """Save the state of an interrupted run in place of an earlier one.

        Raises
        ------
        StorageError
            If the file cannot be written; an earlier state is left as it was.
        """
        memory = {
            f"{_MEMORY}{name}": xr.Variable([f"{_MEMORY}{name}_{axis}" for axis in range(np.ndim(array))], array)
            for name, array in history.memory.items()
        }
        arrays = {name: getattr(history, name) for name in SAVED_STATES.variables}
        save(self.path, dataset_of(SAVED_STATES, arrays, **self._run).assign(memory))

    def remove(self) -> None:
        """Remove the file, once the run has ended and its result is saved."""
        self.path.unlink(missing_ok=True)


class StateSaver(Observer):
    """Saves the state of a run as it goes, and when it is told to stop.

    SIGTERM, which schedulers send before they kill, and SIGINT make it save and stop after the iteration in progress.
    A second SIGINT acts as without it; schedulers send SIGTERM more than once. Use it as a context: only inside does it
    listen to signals.

    Parameters
    ----------
    file : SavedState
        Made for the same tasks, gain, settings and seed. The caller removes it when the result is saved.
    seconds : float
        Time between two saves; longer where saving takes more than a twentieth of it.

    Raises
    ------
    InterruptionError
        By :meth:`require_end`, after SIGTERM or SIGINT.
    """

    def __init__(self, file: SavedState, seconds: float) -> None:
        self._file, self._seconds = file, seconds
        self._signals = _Signals()
        self._due = time.monotonic() + seconds
        self._failure: StorageError | None = None

    def __enter__(self) -> "StateSaver":
        self._signals.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.__exit__(kind, error, trace)

    def stops(self, state: Callable[[], History]) -> bool:
        """Save if it is time, or if a signal came; stop after a signal."""
        begin = time.monotonic()
        if self._signals.received is None and begin < self._due:
            return False
        self._failure = self._save(state())
        end = time.monotonic()
        self._due = end + max(self._seconds, (end - begin) / _MAX_SHARE)
        return self._signals.received is not None

    def require_end(self, history: History, iterations: int) -> None:
        """Raise an InterruptionError if a signal has stopped the run before its end."""
        if history.status is not Status.INTERRUPTED or self._signals.received is None:
            return
        place = f"stopped by {self._signals.received.name} at iteration {history.status_iteration} of {iterations}"
        if self._failure is not None:
            raise InterruptionError(f"{place}, and its state could not be saved: {self._failure}")
        raise InterruptionError(
            f"{place}; its state is in {self._file.path}; run the same command again, it goes on from there"
        )

    def _save(self, history: History) -> StorageError | None:
        """Save the state; a failure is returned: the run can go on without, and the next time may be better."""
        try:
            self._file.save(history)
        except StorageError as error:
            _log.warning("the state of iteration %d is not saved: %s", history.status_iteration, error)
            return error
        _log.info("state of iteration %d saved in %s", history.status_iteration, self._file.path)
        return None


class _Signals:
    """Notes SIGTERM, and SIGINT once, while the block runs; only the main thread may listen to them."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGTERM, signal.SIGINT):
                # A signal that is ignored stays so: a script's `snakemake &` is not to hear its Ctrl-C.
                if signal.getsignal(kind) is not signal.SIG_IGN:
                    self._before[kind] = signal.signal(kind, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        if self.received is signal.SIGINT:
            signal.signal(signal.SIGINT, self._before.pop(signal.SIGINT))


def _digest(*arrays: ArrayLike) -> str:
    """Digest of the arrays' values and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        values: Any = np.ascontiguousarray(array, dtype=np.float64)
        digest.update(str(values.shape).encode() + values.tobytes())
    return digest.hexdigest()
