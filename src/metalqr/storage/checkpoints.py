"""Checkpoints: the state of a run that has not ended, and what it belongs to."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr import atomic
from metalqr.lqr import LQRTasks
from metalqr.meta import History, Status
from metalqr.settings import MetaSettings
from metalqr.storage.files import PathLike, StorageError, load, provenance, save
from metalqr.storage.layout import RUNS, TASKS, Layout
from metalqr.storage.runs import dataset_of

CHECKPOINTS = Layout(
    "checkpoints",
    "State of a run of meta-policy optimisation that has not ended",
    RUNS.variables,
    ("settings", "seed", "tasks", "initial_gain", "code"),
)

_log = logging.getLogger(__name__)


class Checkpoint:
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
        self._run = {
            "settings": json.dumps(settings.as_dict()),
            "seed": seed,
            "tasks": _digest(*(getattr(tasks, name) for name in TASKS.variables)),
            "initial_gain": _digest(K0),
            "code": hashlib.sha256(json.dumps(dict(code), sort_keys=True).encode()).hexdigest(),
        }

    def load(self) -> History | None:
        """The saved state; None where there is none, or where it cannot be used, which the log then explains."""
        atomic.discard_leftovers(self.path)
        if not self.path.exists():
            return None
        try:
            dataset = load(self.path, CHECKPOINTS)
        except StorageError as error:
            _log.warning("%s cannot be used, so training starts afresh: %s", self.path, error.reason)
            return None
        wanted = {**provenance(CHECKPOINTS), **self._run}
        others = [name for name, value in wanted.items() if dataset.attrs.get(name) != value]
        if others:
            changed = ", ".join(name.replace("_", " ") for name in others)
            _log.warning("%s is of a run with other %s, so training starts afresh", self.path, changed)
            return None
        arrays = {name: dataset[name].values for name in CHECKPOINTS.variables}
        iteration = dataset.sizes["iteration"] - 1
        _log.info("going on from iteration %d, saved in %s", iteration, self.path)
        return History(**arrays, status=Status.INTERRUPTED, status_iteration=iteration)

    def save(self, history: History) -> None:
        """Save the state of an interrupted run in place of an earlier one.

        Raises
        ------
        StorageError
            If the file cannot be written; an earlier state is left as it was.
        """
        arrays = {name: getattr(history, name) for name in CHECKPOINTS.variables}
        save(self.path, dataset_of(CHECKPOINTS, arrays, self._run))

    def remove(self) -> None:
        """Remove the file, once the run has ended and its result is saved."""
        self.path.unlink(missing_ok=True)


def _digest(*arrays: ArrayLike) -> str:
    """Digest of the arrays' values and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        values: Any = np.ascontiguousarray(array, dtype=np.float64)
        digest.update(str(values.shape).encode() + values.tobytes())
    return digest.hexdigest()
