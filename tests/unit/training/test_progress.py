"""Progress: what a log and a terminal get, with a clock of the test's own."""

import io
import logging

import numpy as np
import pytest

from metalqr.training.progress import Progress


class Terminal(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO, logger="run")
    return logging.getLogger("run")


def run(iterations: int, seconds: float, logger: logging.Logger, terminal: Terminal, interval: float = 10.0) -> None:
    clock = Clock()
    with Progress(iterations, "d1k1, seed 0", logger, interval, terminal, clock) as progress:
        for iteration in range(iterations + 1):
            progress.reached(iteration, np.zeros((1, 1)), np.array([1.0 / (iteration + 1)]))
            clock.now += seconds


def test_log_gets_the_first_the_last_and_a_line_every_interval(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    run(30, 1.0, logger, Terminal(False))
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [0, 10, 20, 30]
    assert caplog.messages[1] == "iteration 10 of 30, mean cost 0.090909, time left 0:20"
    assert caplog.messages[-1] == "iteration 30 of 30, mean cost 0.032258, time left 0:00"


def test_no_bar_where_standard_error_is_no_terminal(logger: logging.Logger) -> None:
    terminal = Terminal(False)
    run(30, 1.0, logger, terminal)
    assert terminal.getvalue() == ""


def test_bar_shows_iteration_cost_and_time_left(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal(True)
    run(4, 60.0, logger, terminal)
    drawn = [line.rstrip() for line in terminal.getvalue().split("\r")[1:]]
    assert drawn[0] == "d1k1, seed 0 [........................] 0/4, mean cost 1, unknown left"
    assert drawn[2] == "d1k1, seed 0 [############............] 2/4, mean cost 0.33333, 2:00 left"
    assert drawn[-1] == "d1k1, seed 0 [########################] 4/4, mean cost 0.2, 0:00 left"
    assert terminal.getvalue().endswith("\n")


def test_bar_is_never_wider_than_the_terminal(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal(True)
    run(4, 60.0, logger, terminal)
    assert {len(line.rstrip("\n")) for line in terminal.getvalue().split("\r")[1:]} == {29}


def test_bar_is_not_drawn_at_every_one_of_many_fast_iterations(logger: logging.Logger) -> None:
    terminal = Terminal(True)
    run(1000, 0.001, logger, terminal)
    assert 2 <= terminal.getvalue().count("\r") <= 8


@pytest.mark.parametrize(("seconds", "left"), [(0.4, "0:01"), (30.0, "1:00"), (3000.0, "1:40:00")])
def test_time_left_in_words(
    seconds: float, left: str, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    run(4, seconds, logger, Terminal(False), interval=0.0)
    assert caplog.messages[1].endswith("time left unknown")  # compilation must not count
    assert caplog.messages[2].endswith(f"time left {left}")


def test_no_iterations_at_all(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    run(0, 1.0, logger, Terminal(True))
    assert caplog.messages == ["iteration 0 of 0, mean cost 1, time left 0:00"]
