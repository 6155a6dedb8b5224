"""The library itself."""

from typing import Literal

import numba

from benchmarks.contestants import Contestant
from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings, Stream
from metalqr.estimators import estimate_meta_gradient


class Metalqr(Contestant):
    """metalqr in double or single precision."""

    def __init__(self, threads: int, precision: Literal["float64", "float32"] = "float64") -> None:
        self.name = "metalqr" if precision == "float64" else "metalqr, single precision"
        self._threads = threads
        self._precision = precision

    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        numba.set_num_threads(self._threads)
        return estimate_meta_gradient(tasks, K, settings.replace(precision=self._precision), Stream(seed))
