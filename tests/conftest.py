"""What all tests share: reproducible property tests, and no more threads than there are test processes."""

import os
import sys
from collections.abc import Iterator

# Before NumPy and Numba are imported, and for the programs that tests start. Numba's pool has two threads, so that a
# test can compare one thread with two; `one_thread` keeps everything else to one.
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "agg")
# Bytecode is kept even where the caller forbids it: otherwise hundreds of processes compile the same modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import hypothesis
import numba
import pytest

# The same examples in every run, and no deadline: compilation and a busy machine must not decide a test.
hypothesis.settings.register_profile("metalqr", derandomize=True, deadline=None)
hypothesis.settings.load_profile("metalqr")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Start every test with one Numba thread, whatever the test before has set."""
    numba.set_num_threads(1)


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Kill what a test of the workflow has started and not ended."""
    yield
    if "project" in sys.modules:
        sys.modules["project"].kill_what_was_started()
