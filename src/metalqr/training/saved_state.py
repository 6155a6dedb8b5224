"""The saved state of a run that has not ended: a killed job resumes from it, with the same result."""

import hashlib
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from metalqr.common import atomic
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks
from metalqr.results.files import PathLike, StorageError, dataset_of, load, provenance, save
from metalqr.results.layout import SEED, Attribute, Kind, Layout
from metalqr.results.runs import OF_MEASURED, RUNS, Status
from metalqr.training.costs import AnyTasks
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
    optional=OF_MEASURED,
)
#: Prefix in a file of the names of a method's memory.
_MEMORY = "memory_"
#: Largest share of the time that saving may take.
_MAX_SHARE = 0.05

_log = logging.getLogger(__name__)


class InterruptionError(RuntimeError):
    """A signal stopped the run; the message states what was saved."""


class SavedState:
    """The file of a run's state. It is loaded only for the run that it was saved by.

    ``code`` is the version of the code, for example digests of its files by name. Versions of libraries are added.
    """

    def __init__(
        self,
        path: PathLike,
        tasks: AnyTasks,
        K0: ArrayLike,
        settings: MetaSettings,
        seed: int,
        code: Mapping[str, str],
    ) -> None:
        self.path = Path(path)
        self._run = {
            "settings": json.dumps(settings.changed()),
            "seed": seed,
            "tasks": _tasks_digest(tasks),
            "initial_gain": _digest(K0),
            "code": hashlib.sha256(json.dumps(dict(code), sort_keys=True).encode()).hexdigest(),
        }

    def load(self) -> History | None:
        """Load the state; None if there is none or it cannot be used, which the log then explains."""
        atomic.discard_leftovers(self.path)
        if not self.path.exists():
            return None
        try:
            dataset = load(self.path, SAVED_STATES)
        except StorageError as error:
            _log.warning("%s cannot be used, so training starts afresh: %s", self.path, error.reason)
            return None
        expected = {**provenance(SAVED_STATES), **self._run}
        changed = [name.replace("_", " ") for name, value in expected.items() if dataset.attrs.get(name) != value]
        if changed:
            _log.warning("%s is of a run with other %s, so training starts afresh", self.path, ", ".join(changed))
            return None
        stored: dict[str, Any] = {str(name): array.values for name, array in dataset.items()}
        arrays = {name: stored[name] for name in (*SAVED_STATES.variables, *OF_MEASURED) if name in stored}
        memory = {name.removeprefix(_MEMORY): array for name, array in stored.items() if name.startswith(_MEMORY)}
        iteration = dataset.sizes["iteration"] - 1
        _log.info("resuming from iteration %d, saved in %s", iteration, self.path)
        return History(**arrays, status=Status.INTERRUPTED, status_iteration=iteration, memory=memory)

    def save(self, history: History) -> None:
        """Save the state of an interrupted run in place of an earlier one, which stays where this fails."""
        memory = {
            f"{_MEMORY}{name}": xr.Variable([f"{_MEMORY}{name}_{axis}" for axis in range(np.ndim(array))], array)
            for name, array in history.memory.items()
        }
        found = {name: getattr(history, name) for name in (*SAVED_STATES.variables, *OF_MEASURED)}
        arrays = {name: array for name, array in found.items() if array is not None}
        save(self.path, dataset_of(SAVED_STATES, arrays, **self._run).assign(memory))

    def remove(self) -> None:
        """Remove the file, once the run has ended and its result is saved."""
        self.path.unlink(missing_ok=True)


class StateSaver(Observer):
    """Saves the state of a run from time to time, and when a signal stops it.

    SIGTERM, which schedulers send before they kill, and SIGINT make it save and stop after the iteration in progress.
    A second SIGINT acts as usual; schedulers send SIGTERM more than once. It listens to signals only as a context.

    ``seconds`` lie between two saves; more where saving takes more than a twentieth of it. The caller removes the file
    when the result is saved.
    """

    def __init__(self, file: SavedState, seconds: float) -> None:
        self._file, self._seconds = file, seconds
        self._due = time.monotonic() + seconds
        self._failure: StorageError | None = None
        self._received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StateSaver":
        if threading.current_thread() is threading.main_thread():  # no other may listen to signals
            for kind in (signal.SIGTERM, signal.SIGINT):
                # An ignored signal stays ignored: Ctrl-C in a script must not reach its `snakemake &`.
                if signal.getsignal(kind) is not signal.SIG_IGN:
                    self._handlers[kind] = signal.signal(kind, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        if self._received is signal.SIGINT:
            signal.signal(signal.SIGINT, self._handlers.pop(signal.SIGINT))

    def stops(self, state: Callable[[], History]) -> bool:
        """Save if it is time, or if a signal came; stop after a signal."""
        begin = time.monotonic()
        if self._received is None and begin < self._due:
            return False
        history = state()
        try:
            self._file.save(history)
        except StorageError as error:  # the run can continue without, and the next time may be better
            self._failure = error
            _log.warning("the state of iteration %d could not be saved: %s", history.status_iteration, error)
        else:
            self._failure = None
            _log.info("state of iteration %d saved in %s", history.status_iteration, self._file.path)
        end = time.monotonic()
        self._due = end + max(self._seconds, (end - begin) / _MAX_SHARE)
        return self._received is not None

    def require_end(self, history: History, iterations: int) -> None:
        """Raise an InterruptionError if a signal has stopped the run before its end."""
        if history.status is not Status.INTERRUPTED or self._received is None:
            return
        place = f"stopped by {self._received.name} at iteration {history.status_iteration} of {iterations}"
        if self._failure is not None:
            raise InterruptionError(f"{place}, and its state could not be saved: {self._failure}")
        raise InterruptionError(
            f"{place}; its state is in {self._file.path}; run the same command again to resume from it"
        )


def _tasks_digest(tasks: AnyTasks) -> str:
    """Digest of what tasks are; the code of a simulator is part of the code of its run."""
    if not isinstance(tasks, LQRTasks):
        return hashlib.sha256(json.dumps(tasks.identity, sort_keys=True).encode()).hexdigest()
    matrices = ["A", "B", "Q", "R", "Psi", "Sigma0", "p", *(("S",) if tasks.has_cross_terms else ())]
    if tasks.noise != "process":
        matrices.append("initial_mean")
    return _digest(*(getattr(tasks, name) for name in matrices))


def _digest(*arrays: ArrayLike) -> str:
    """Digest of the arrays' values and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        values: Any = np.ascontiguousarray(array, dtype=np.float64)
        digest.update(str(values.shape).encode() + values.tobytes())
    return digest.hexdigest()
