"""Start-up time and memory of a training job, each measured in a process of its own.

``python -m benchmarks.resources`` is that process: it trains once and prints the times of its steps, and its memory.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.work import Work
from metalqr import MetaSettings, results, training

_MIB = 2**20
#: The methods whose overhead is measured.
LITTLE_WORK: dict[str, dict[str, Any]] = {
    "the paper's": {},
    "mean cost, orthogonal pairs with common noise": {
        "method": "mean_cost", "estimator": "two_point", "common_noise": True, "directions": "orthogonal"
    },
}  # fmt: skip


class Startup(NamedTuple):
    """Seconds from the start of a process."""

    to_first_iteration: float  # Python, imports, tasks, compiled code
    iteration: float  # a later one


class Overhead(NamedTuple):
    """Microseconds of an iteration whose rollouts take next to no time, exact costs included."""

    method: str
    iteration: float
    rollouts: float  # of them, at the speed of long rollouts


class Memory(NamedTuple):
    """Peak memory of a training beyond what the process had before, in MiB."""

    iterations: int
    rollout_length: int
    whole: float  # of the process
    per_thread: float


def startup(work: Work) -> Startup:
    """Start-up of a job whose compiled code is stored: the minimum of three."""
    times = []
    for _ in range(3):
        start = time.monotonic()
        times.append((start, *_train(work.at(iterations=2))["seconds"]))
    iteration = min(last - first for *_, first, last in times)
    return Startup(min(first - start for start, _, first, _ in times) - iteration, iteration)


def overhead(work: Work, seconds_per_step: float) -> list[Overhead]:
    """The minimum of five trainings of a thousand iterations, four perturbations and ten steps a rollout."""
    found = []
    for name, changes in LITTLE_WORK.items():
        little = work.at(
            perturbations=4, inner_perturbations=4, rollout_length=10, learning_rate=1e-9, iterations=1000, **changes
        )
        seconds = []
        for _ in range(6):  # the first compiles
            start = time.perf_counter()
            training.train(little.tasks, little.gain, little.settings, 0)
            seconds.append(time.perf_counter() - start)
        found.append(Overhead(name, 1e3 * min(seconds[1:]), 1e6 * little.steps * seconds_per_step))
    return found


def memory(work: Work, threads: int) -> Memory:
    """Memory of a training with the threads of this process."""
    measured = _train(work)
    growth = (measured["peak"] - measured["before"]) / threads
    return Memory(work.settings.iterations, work.settings.rollout_length, measured["peak"] / _MIB, growth / _MIB)


def _train(work: Work) -> dict[str, Any]:
    """Run this module in a separate process, with the threads of this one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.nc"
        results.save_tasks(path, work.tasks, work.gain, {}, case=work.name)
        command = [sys.executable, "-m", "benchmarks.resources", str(path), json.dumps(work.settings.as_dict())]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(finished.stdout))


def _peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes.

    Linux hands ``ru_maxrss`` on from the process that started this one, so there the process' own record is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _child(path: str, settings: dict[str, Any]) -> None:
    tasks, K0 = results.load_problem(path)
    before = _peak_memory()
    clock = _Clock()
    training.train(tasks, K0, MetaSettings(**settings), 0, [clock])
    print(json.dumps({"seconds": clock.seconds, "before": before, "peak": _peak_memory()}))


class _Clock(training.Observer):
    """Notes when each iteration is reached."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        self.seconds.append(time.monotonic())


if __name__ == "__main__":
    _child(sys.argv[1], json.loads(sys.argv[2]))
