"""Runs in parts: going on from a state, what a saved state belongs to, signals, and saving that fails."""

import dataclasses
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from systems import initial_state_tasks, random_tasks

from metalqr import results, training
from metalqr.common import atomic
from metalqr.config.algorithm import MetaSettings
from metalqr.training import History, Observer, Status
from metalqr.training.saved_state import InterruptionError, SavedState, StateSaver

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=1.0e-4,
    perturbations=5,
    inner_perturbations=4,
    rollout_length=8,
    iterations=6,
)
TASKS = random_tasks(seed=1, count=2, state_dim=2, action_dim=1, radius=0.6, spread=0.2)
K0 = np.full((1, 2), 0.01)
CODE = {"kernel.py": "0123"}

#: Settings with which a run ends in each of its ways, after some iterations.
ENDINGS = {
    Status.COMPLETED: SETTINGS,
    Status.DIVERGED: SETTINGS.replace(learning_rate=0.008, iterations=50),
    Status.TOLERANCE: SETTINGS.replace(perturbations=6, tolerance=20.0, iterations=50),
}


@pytest.fixture(autouse=True)
def heard_signals() -> Iterator[None]:
    """SIGINT as Python takes it, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@functools.cache
def whole(ending: Status = Status.COMPLETED) -> History:
    """The run without interruption."""
    return training.train(TASKS, K0, ENDINGS[ending], seed=3)


def assert_same(history: History, other: History) -> None:
    for field in dataclasses.fields(History):
        assert_array_equal(getattr(history, field.name), getattr(other, field.name), strict=field.name[:6] != "status")


class Stopper(Observer):
    """Stops where it is told to: after every iteration, or by the answers of an iterator."""

    def __init__(self, answers: Iterator[bool] | None = None) -> None:
        self.answers = answers

    def stops(self, state: Callable[[], History]) -> bool:
        return True if self.answers is None else next(self.answers, False)


def state_in(folder: Path, **changed: Any) -> SavedState:
    arguments = {"tasks": TASKS, "K0": K0, "settings": SETTINGS, "seed": 3, "code": CODE}
    return SavedState(folder / "states" / "run.nc", **{**arguments, **changed})


def train(file: SavedState, *observers: Observer, seconds: float = 0.0) -> History:
    """As the job of the pipeline does it."""
    with StateSaver(file, seconds) as saver:
        history = training.train(TASKS, K0, SETTINGS, 3, [*observers, saver], resume=file.load())
        saver.require_end(history, SETTINGS.iterations)
    return history


class Signals(Observer):
    """Sends signals to its own process when an iteration is reached for the first time."""

    def __init__(self, iteration: int, *kinds: signal.Signals) -> None:
        self.iteration, self.kinds = iteration, kinds

    def reached(self, iteration: int, K: Any, cost: Any) -> None:
        if iteration == self.iteration:
            kinds, self.kinds = self.kinds, ()
            for kind in kinds:
                os.kill(os.getpid(), kind)


# --- going on --------------------------------------------------------------------------------------------------------


def test_the_state_is_a_copy_that_further_iterations_leave_alone() -> None:
    states: list[History] = []

    class Keeper(Observer):
        def stops(self, state: Callable[[], History]) -> bool:
            states.append(state())
            return False

    training.train(TASKS, K0, SETTINGS, 3, [Keeper()])
    assert [state.status_iteration for state in states] == [1, 2, 3, 4, 5]
    assert all(np.isnan(state.gradient_norm[-1]) for state in states)


@given(ending=st.sampled_from(list(ENDINGS)), stops=st.lists(st.booleans(), max_size=30))
@example(Status.COMPLETED, [True] * 50)
@example(Status.DIVERGED, [True] * 50)
@example(Status.TOLERANCE, [True] * 50)
@hypothesis_settings(max_examples=25)
def test_a_run_in_any_parts_is_the_same_run(ending: Status, stops: list[bool]) -> None:
    assert whole(ending).status is ending
    assert whole(ending).status_iteration >= 3
    stopper, history = Stopper(iter(stops)), None
    while history is None or history.status is Status.INTERRUPTED:
        history = training.train(TASKS, K0, ENDINGS[ending], 3, [stopper], resume=history)
    assert_same(history, whole(ending))


def test_a_state_that_cannot_go_on_is_refused() -> None:
    state = training.train(TASKS, K0, SETTINGS, 3, [Stopper()])
    heavier = TASKS.replace(Q=2 * TASKS.Q)
    for resume, tasks, gain, settings, message in [
        (whole(), TASKS, K0, SETTINGS, "the run is completed; only an interrupted run"),
        (state, TASKS, 2 * K0, SETTINGS, "started from a gain other than K0"),
        (state, heavier, K0, SETTINGS, "first costs are not those of these tasks at K0"),
        (state, TASKS, K0, SETTINGS.replace(iterations=0), "has reached iteration 1, but iterations is 0"),
        (state, random_tasks(1, count=3, state_dim=2, action_dim=1, radius=0.6), K0, SETTINGS, r"cost has the shape"),
        (dataclasses.replace(state, status_iteration=2), TASKS, K0, SETTINGS, r"K has the shape \(2, 1, 2\), not"),
        (dataclasses.replace(state, gradient_norm=state.gradient_norm[:1]), TASKS, K0, SETTINGS, "gradient_norm has"),
    ]:
        with pytest.raises(ValueError, match=message):
            training.train(tasks, gain, settings, 3, resume=resume)


# --- what a saved state belongs to ------------------------------------------------------------------------------------


def saved(folder: Path) -> SavedState:
    file = state_in(folder)
    file.save(training.train(TASKS, K0, SETTINGS, 3, [Stopper()]))
    return file


def test_a_state_comes_back_as_it_went(tmp_path: Path) -> None:
    assert state_in(tmp_path).load() is None
    state = training.train(TASKS, K0, SETTINGS, 3, [Stopper()])
    file = saved(tmp_path)
    assert xr.load_dataset(file.path).attrs["stage"] == "saved_states"
    loaded = state_in(tmp_path).load()
    assert loaded is not None
    assert_same(loaded, state)
    file.remove()
    assert file.load() is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": SETTINGS.replace(smoothing_radius=0.06)}, "other settings, so"),
        ({"seed": 4}, "other seed, so"),
        ({"tasks": random_tasks(seed=2, count=2, state_dim=2, action_dim=1, radius=0.6)}, "other tasks, so"),
        ({"tasks": TASKS.replace(S=np.full((2, 2, 1), 0.01))}, "other tasks, so"),
        ({"tasks": initial_state_tasks(1, 2, 2, 1)}, "other tasks, so"),
        ({"K0": np.zeros((1, 2))}, "other initial gain, so"),
        ({"code": {"kernel.py": "4567"}}, "other code, so"),
        ({"seed": 4, "code": {}}, "other seed, code, so"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_another_run_starts_afresh_and_says_why(
    changed: dict[str, Any], named: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved(tmp_path)
    assert state_in(tmp_path, **changed).load() is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert named in record.getMessage()
    assert "training starts afresh" in record.getMessage()
    assert str(tmp_path) in record.getMessage()


def test_another_version_of_a_library_starts_afresh(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    monkeypatch.setattr("scipy.__version__", "0")
    assert state_in(tmp_path).load() is None
    assert "scipy version" in caplog.text


@pytest.mark.parametrize("content", [b"", b"not netCDF", None], ids=["empty", "text", "cut off"])
def test_a_spoilt_state_starts_afresh(content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(tmp_path).path
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    assert_same(train(state_in(tmp_path), seconds=1e9), whole())
    reason = "it is empty" if content == b"" else "it cannot be read as netCDF"
    assert f"cannot be used, so training starts afresh: {reason}" in caplog.text


def test_a_run_is_no_saved_state_and_a_state_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, state = state_in(tmp_path), training.train(TASKS, K0, SETTINGS, 3, [Stopper()])
    with pytest.raises(ValueError, match="the run is interrupted and has not ended"):
        state.to_dataset(SETTINGS.as_dict(), 3, case="one", perturbed_policies=10)
    results.save(file.path, whole().to_dataset(SETTINGS.as_dict(), 3, case="one", perturbed_policies=10))
    assert file.load() is None
    assert "it belongs to the stage 'runs'" in caplog.text


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    path = saved(tmp_path).path
    writer = subprocess.Popen([sys.executable, "-c", ""])
    writer.wait()
    host = socket.gethostname()
    names = [
        f".run.nc.{host}-{writer.pid}-abc_123.tmp",  # of a process that lives no more
        f".run.nc.{host}-{os.getpid()}-abc_123.tmp",  # of one that lives
        ".run.nc.an-other-host-1-abc_123.tmp",
        f".other.nc.{host}-{writer.pid}-abc_123.tmp",
    ]
    for name in names:
        path.with_name(name).write_bytes(b"half")
    assert state_in(tmp_path).load() is not None
    assert [path.with_name(name).exists() for name in names] == [False, True, True, True]
    os.utime(path.with_name(names[2]), (0, 0))
    atomic.discard_leftovers(path)
    assert [path.with_name(name).exists() for name in names] == [False, True, False, True]


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="macOS has no waitid, and does not tell of such processes")
def test_a_killed_writer_that_nobody_has_waited_for_has_left_its_file(tmp_path: Path) -> None:
    """As long as its parent does not ask how it ended: in a container, the first process may never do."""
    writer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    name = tmp_path / f".run.nc.{socket.gethostname()}-{writer.pid}-abc_123.tmp"
    name.write_bytes(b"half")
    atomic.discard_leftovers(tmp_path / "run.nc")
    assert name.exists()
    writer.kill()
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
    os.kill(writer.pid, 0)  # its entry is there
    atomic.discard_leftovers(tmp_path / "run.nc")
    assert not name.exists()
    writer.wait()


def test_a_temporary_file_names_its_writer(tmp_path: Path) -> None:
    with atomic.replaced(tmp_path / "run.nc") as temporary:
        atomic.discard_leftovers(tmp_path / "run.nc")
        assert temporary.name.startswith(f".run.nc.{socket.gethostname()}-{os.getpid()}-")
        temporary.write_bytes(b"whole")
    assert (tmp_path / "run.nc").read_bytes() == b"whole"


def test_leftovers_of_a_file_in_no_folder_are_none(tmp_path: Path) -> None:
    atomic.discard_leftovers(tmp_path / "missing" / "file.nc")
    assert not (tmp_path / "missing").exists()


# --- saving as it goes -----------------------------------------------------------------------------------------------


def test_it_saves_after_every_iteration_when_no_time_may_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = state_in(tmp_path)
    # Saving this small state takes longer than an iteration, so the share of the time is what decides here.
    assert_same(train(file), whole())
    assert "state of iteration 1 saved in" in caplog.text
    assert isinstance(file.load(), History)


def test_it_saves_nothing_before_the_time_has_passed(tmp_path: Path) -> None:
    file = state_in(tmp_path)
    assert_same(train(file, seconds=1e9), whole())
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(100.0, [100, 300, 500]), (250.0, [250, 500])], ids=["slow to save", "seldom"]
)
def test_saving_takes_a_twentieth_of_the_time_at_most(
    seconds: float, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of our own: an iteration takes one second, saving ten, so 200 seconds must lie between two."""
    clock, iterations = [0.0], []

    class SlowState(SavedState):
        def save(self, history: History) -> None:
            clock[0] += 10.0
            iterations.append(history.status_iteration)

    monkeypatch.setattr("metalqr.training.saved_state.time.monotonic", lambda: clock[0])
    saver = StateSaver(SlowState(tmp_path / "run.nc", TASKS, K0, SETTINGS, 3, CODE), seconds)
    for iteration in range(1, 601):
        clock[0] += 1.0
        state = dataclasses.replace(whole(), status=Status.INTERRUPTED, status_iteration=iteration)
        assert not saver.stops(lambda: state)  # noqa: B023
    assert iterations == expected


def test_it_goes_on_where_saving_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "states").write_text("a file in place of the folder")
    assert_same(train(state_in(tmp_path)), whole())
    assert "the state of iteration 1 could not be saved" in caplog.text


# --- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops_and_the_next_run_goes_on(
    kind: signal.Signals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = state_in(tmp_path)
    before = signal.getsignal(kind)
    with pytest.raises(
        InterruptionError,
        match=rf"stopped by {kind.name} at iteration 2 of 6; its state is in .*run\.nc; run the same command again",
    ):
        train(file, Signals(2, kind), seconds=1e9)
    assert signal.getsignal(kind) is before
    assert_same(train(state_in(tmp_path), seconds=1e9), whole())
    assert "resuming from iteration 2, saved in" in caplog.text


def test_a_signal_at_the_end_changes_nothing(tmp_path: Path) -> None:
    assert_same(train(state_in(tmp_path), Signals(6, signal.SIGTERM), seconds=1e9), whole())


def test_a_second_sigterm_does_not_keep_it_from_saving(tmp_path: Path) -> None:
    """Slurm sends it to every step of a job, and a job's Snakemake passes it on."""
    with pytest.raises(InterruptionError, match="stopped by SIGTERM at iteration 2"):
        train(state_in(tmp_path), Signals(2, signal.SIGTERM, signal.SIGTERM), seconds=1e9)
    state = state_in(tmp_path).load()
    assert state is not None
    assert state.status_iteration == 2


def test_a_second_ctrl_c_ends_it_as_usual(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(state_in(tmp_path), Signals(2, signal.SIGINT, signal.SIGINT), seconds=1e9)


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert_same(train(state_in(tmp_path), Signals(2, signal.SIGINT), seconds=1e9), whole())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_whose_state_cannot_be_saved_says_so(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file in place of the folder")
    with pytest.raises(InterruptionError, match=r"its state could not be saved: .*run\.nc: cannot be"):
        train(state_in(tmp_path), Signals(2, signal.SIGTERM), seconds=1e9)
