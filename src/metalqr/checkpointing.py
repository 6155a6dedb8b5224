"""Training that survives being killed: it saves its state as it goes, and goes on from there when run again."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from numpy.typing import ArrayLike

from metalqr import meta
from metalqr.lqr import LQRTasks
from metalqr.meta import History, Status
from metalqr.settings import MetaSettings
from metalqr.storage import Checkpoint, StorageError

#: Saving takes no more than this share of the time, however large the state.
_LARGEST_SHARE = 0.05

_log = logging.getLogger(__name__)


class InterruptionError(RuntimeError):
    """The run was told to stop by a signal; the message says what was saved."""


def train(
    tasks: LQRTasks,
    K0: ArrayLike,
    settings: MetaSettings,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
    *,
    checkpoint: Checkpoint,
    seconds: float,
) -> History:
    """:func:`metalqr.meta.train` with a checkpoint: the same result to the last bit, however often it was killed.

    SIGTERM, which schedulers send before they kill, and SIGINT make it save and stop after the iteration in progress.
    A second SIGINT acts as without this function; schedulers send SIGTERM more than once.

    Parameters
    ----------
    tasks, K0, settings, seed, progress
        As in :func:`metalqr.meta.train`.
    checkpoint : metalqr.storage.Checkpoint
        Made for the same tasks, gain, settings and seed. The caller removes it when the result is saved.
    seconds : float
        Time between two checkpoints; longer where saving takes more than a twentieth of it.

    Returns
    -------
    History
        Of a run that has ended.

    Raises
    ------
    InterruptionError
        After SIGTERM or SIGINT.
    """
    due = time.monotonic() + seconds
    failure: StorageError | None = None
    with _Signals() as signals:

        def interrupt(state: Callable[[], History]) -> bool:
            nonlocal due, failure
            begin = time.monotonic()
            if signals.received is None and begin < due:
                return False
            failure = _save(checkpoint, state())
            end = time.monotonic()
            due = end + max(seconds, (end - begin) / _LARGEST_SHARE)
            return signals.received is not None

        history = meta.train(tasks, K0, settings, seed, progress, resume=checkpoint.load(), interrupt=interrupt)
        if history.status is Status.INTERRUPTED and signals.received is not None:
            raise InterruptionError(_explain(signals.received, history, settings, checkpoint, failure))
    return history


def _save(checkpoint: Checkpoint, history: History) -> StorageError | None:
    """Save the state; a failure is returned, because the run can go on without, and the next time may be better."""
    try:
        checkpoint.save(history)
    except StorageError as error:
        _log.warning("the state of iteration %d is not saved: %s", history.status_iteration, error)
        return error
    _log.info("state of iteration %d saved in %s", history.status_iteration, checkpoint.path)
    return None


def _explain(
    received: signal.Signals,
    history: History,
    settings: MetaSettings,
    checkpoint: Checkpoint,
    failure: Exception | None,
) -> str:
    place = f"stopped by {received.name} at iteration {history.status_iteration} of {settings.iterations}"
    if failure is not None:
        return f"{place}, and its state could not be saved: {failure}"
    return f"{place}; its state is in {checkpoint.path}; run the same command again, it goes on from there"


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
