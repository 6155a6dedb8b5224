"""The machine of the measurements, and the lower bound on the time from its arithmetic."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numba
import numpy as np

from benchmarks.work import Work

#: Seconds for a normal number on one core: an assumption of the arithmetic limit, not a measurement.
NORMAL_SECONDS = 0.9e-9
_PRODUCT_SIZE = 768


def cores() -> int:
    """The cores that this process may use: as many as Numba's threads."""
    return int(numba.config.NUMBA_NUM_THREADS)


def description(libraries: Sequence[str] = ("numpy", "jax", "numba", "llvmlite")) -> str:
    """The processor, its cores and the versions of what is measured, on one line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    cores_used = f"{cores()} of {_logical_cores()} logical ({_physical_cores()} physical) cores"
    return f"{processor()}, {cores_used}; {platform.system()}, Python {platform.python_version()}, {versions}"


def processor() -> str:
    """The processor's own name where the system tells it."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    names = _cpuinfo("model name")
    return names[0] if names else platform.processor() or platform.machine()


def product_rate(seconds: float = 1.0) -> float:
    """Floating-point operations a second of this process' matrix products in double precision, at best."""
    left, right = np.random.default_rng(0).standard_normal((2, _PRODUCT_SIZE, _PRODUCT_SIZE))
    result = left @ right
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(left, right, out=result)
        best = min(best, time.perf_counter() - start)
    return float(2 * _PRODUCT_SIZE**3 / best)


def arithmetic_limit(work: Work, core_rate: float, core_count: int) -> float:
    """Seconds that the arithmetic of the work takes at the rate of matrix products, on all cores.

    A step counts as an action K x, a new state [A, B] [x; u], and two quadratic forms, whose symmetric halves suffice,
    with two operations for each product, and as d normal numbers.
    """
    d, k = work.tasks.state_dim, work.tasks.action_dim
    operations = 2 * (k * d + d**2 + d * k + d * (d + 1) / 2 + k * (k + 1) / 2)
    return work.steps * (operations / core_rate + d * NORMAL_SECONDS) / core_count


def _logical_cores() -> int:
    return os.cpu_count() or 1


def _physical_cores() -> int:
    if sys.platform == "darwin":
        return int(_sysctl("hw.physicalcpu") or _logical_cores())
    pairs = set(zip(_cpuinfo("physical id"), _cpuinfo("core id"), strict=False))
    return len(pairs) or _logical_cores()


def _cpuinfo(key: str) -> list[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]


def _sysctl(name: str) -> str:
    finished = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return finished.stdout.strip()
