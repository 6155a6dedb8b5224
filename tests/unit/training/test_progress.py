"""Progress: the lines in a log, and the bar on a terminal."""

import io
import logging
import re
import sys

import numpy as np
import pytest

from metalqr.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(iterations: int, interval: float, first: int = 0) -> None:
    with Progress(iterations, "d1k1, seed 0", logging.getLogger("run"), interval) as progress:
        for iteration in range(first, iterations + 1):
            progress.reached(iteration, np.zeros((1, 1)), np.array([1.0 / (iteration + 1)]))


@pytest.mark.parametrize(("interval", "expected"), [(1e9, [0, 30]), (0.0, range(31))])
def test_log_gets_the_first_the_last_and_a_line_every_interval(
    interval: float, expected: list[int], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    run(30, interval)
    found = [int(message.split()[1]) for message in caplog.messages]
    assert sorted({*found}) == [*expected]
    assert caplog.messages[0] == "iteration 0 of 30, mean cost 1, time left ?"
    assert caplog.messages[-1] == "iteration 30 of 30, mean cost 0.032258, time left 00:00"
    assert capsys.readouterr().err == ""


def test_bar_shows_iteration_and_cost_where_standard_error_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(4, 1e9, first=2)
    drawn = terminal.getvalue().split("\r")
    assert re.fullmatch(r"d1k1, seed 0:  50%\|.* 2/4 .*, mean cost 0\.33333\]\s*", drawn[1])
    assert re.fullmatch(r"d1k1, seed 0: 100%\|.* 4/4 .*, mean cost 0\.2\]\s*", drawn[-1])


def test_no_iterations_at_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(0, 10.0)
    assert caplog.messages[-1].startswith("iteration 0 of 0, mean cost 1")
