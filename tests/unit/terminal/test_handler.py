"""What the handler makes of the records of Snakemake's log, as Snakemake 9.25 sends them."""

import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_metalqr import LogHandler
from snakemake_logger_plugin_metalqr.screen import Redirected, Screen

COMMON = {"printshellcmds": False, "nocolor": False, "quiet": None, "debug_dag": False, "verbose": False}
PLANNED = {
    1: ("solve_optima", "optima", "d1k1", 2.0, 1),
    2: ("train_policy", "runs", "d1k1, seed 0", 20.0, 1),
    3: ("train_policy", "runs", "d1k1, seed 1", 20.0, 1),
}
Send = Callable[..., None]


def made(**changes: Any) -> LogHandler:
    common: Any = SimpleNamespace(**{**COMMON, "show_failed_logs": False, "stdout": False, "dryrun": False, **changes})
    return LogHandler(common, None)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What goes to standard error: the same stream in fixtures and tests, unlike that of ``capsys``."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: io.StringIO) -> Iterator[LogHandler]:
    monkeypatch.chdir(tmp_path)
    found = made()
    yield found
    found.close()


@pytest.fixture
def send(handler: LogHandler) -> Send:
    def sent(now: float, message: str | None = None, level: int = logging.INFO, **more: Any) -> None:
        record = logging.makeLogRecord({"created": now, "msg": message, "levelno": level, **more})
        handler.emit(record)

    return sent


def start(send: Send, now: float, job: int, rule: str, log: str) -> None:
    given = {"wildcards": {"case": "d1k1"}, "output": [f"results/{job}.nc"], "log": [log]}
    send(now, event=LogEvent.JOB_INFO, jobid=job, rule_name=rule, **given)


def plan(send: Send) -> None:
    send(0.0, "Provided cores: 2", event=LogEvent.RESOURCES_INFO, cores=2)
    send(0.0, planned=PLANNED)


def test_a_finished_run(send: Send, handler: LogHandler, printed: io.StringIO) -> None:
    plan(send)
    start(send, 0.0, 1, "solve_optima", "results/logs/optima/d1k1.log")
    send(3.5, event=LogEvent.JOB_FINISHED, job_id=1)
    for job in (2, 3):
        start(send, 4.0, job, "train_policy", f"results/logs/runs/{job}.log")
    send(20.0, "Warning: a run diverged", logging.WARNING)
    for job in (2, 3):
        send(24.0, event=LogEvent.JOB_FINISHED, job_id=job)
    send(25.0, "Complete log(s): " + str(Path(".snakemake/log/one.log").absolute()))
    handler.close()
    first, *lines, _, logs = printed.getvalue().splitlines()
    assert first == "3 jobs on 2 cores, about 30 s"  # 42 s of work, of which 20 s are one job
    assert [line[8:] for line in lines[:-3]] == ["     3.5 s  optima            d1k1"]
    assert lines[-3] == "Warning: a run diverged"
    assert [line[8:] for line in lines[-2:]] == [f"    20.0 s  runs              d1k1, seed {seed}" for seed in (0, 1)]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in (lines[0], *lines[-2:]))
    assert logs == "  Logs: results/logs, .snakemake/log/one.log"


def test_a_failed_job_is_shown_once_with_its_log(send: Send, handler: LogHandler, printed: io.StringIO) -> None:
    log = Path("seed-0.log")
    log.write_text("Traceback\nValueError: no\n")
    plan(send)
    start(send, 0.0, 2, "train_policy", str(log))
    send(5.0, "RuleException:\nCalledProcessError in file", logging.ERROR, event=LogEvent.ERROR)
    for now in (5.0, 6.0):
        send(now, event=LogEvent.JOB_ERROR, level=logging.ERROR, jobid=2, rule_name="train_policy", log=[str(log)])
    send(7.0, "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR, event=LogEvent.ERROR)
    handler.close()
    lines = printed.getvalue().splitlines()
    assert lines[1:-2] == [
        "FAILED  train_policy  d1k1, seed 0 after 5.0 s",
        "  seed-0.log ends:",
        "    | Traceback",
        "    | ValueError: no",
        "  Correct the cause, then run the same command again: finished jobs are kept.",
    ]
    assert lines[-2].startswith("1 of 3 jobs failed, 0 are done, after")


def test_interrupted_jobs_have_not_failed(send: Send, handler: LogHandler, printed: io.StringIO) -> None:
    plan(send)
    start(send, 0.0, 2, "train_policy", "seed-0.log")
    send(1.0, "Terminating processes on user request, this might take some time.")
    send(1.0, event=LogEvent.JOB_ERROR, level=logging.ERROR, jobid=2, rule_name="train_policy", log=["seed-0.log"])
    handler.close()
    _, said, stopped, advice, _ = printed.getvalue().splitlines()
    assert said.startswith("Terminating")
    assert re.fullmatch(r"Stopped after .*: 0 of 3 jobs are done\.", stopped)
    assert advice == "Run the same command again to continue."


def test_other_errors_and_messages_are_shown_as_they_are(send: Send, handler: LogHandler, printed: io.StringIO) -> None:
    send(0.0, "Building DAG of jobs...")
    send(0.0, "WorkflowError:\nThe config has a problem:\n  seed: -1", logging.ERROR, event=LogEvent.ERROR)
    send(0.0, "Nothing to be done (all requested files are present and up to date).")
    handler.close()
    assert printed.getvalue().splitlines() == [
        "WorkflowError:",
        "The config has a problem:",
        "  seed: -1",
        "Nothing to be done (all requested files are present and up to date).",
    ]


def test_jobs_that_no_plan_names_are_shown_by_rule_and_wildcards(send: Send, printed: io.StringIO) -> None:
    """As with --no-hooks."""
    start(send, 0.0, 9, "solve_optima", "d1k1.log")
    send(1.0, event=LogEvent.JOB_FINISHED, job_id=9)
    send(1.0, event=LogEvent.JOB_FINISHED, job_id=10)
    assert printed.getvalue().splitlines()[0][8:] == "     1.0 s  solve_optima      d1k1"


@pytest.mark.parametrize("asked", ["dryrun", "verbose", "debug_dag", "printshellcmds"])
def test_who_asks_for_more_gets_snakemakes_own_output(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    handler = made(**{asked: True})
    handler.emit(logging.makeLogRecord({"msg": "Building DAG of jobs...", "levelname": "INFO"}))
    handler.close()
    assert "Building DAG of jobs..." in capsys.readouterr().err


class Terminal:
    """A pseudo-terminal of 60 columns, and what was written to it."""

    def __init__(self) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def read(self, end: str) -> str:
        """What was written, up to an end."""
        found = ""
        while not found.endswith(end):
            found += os.read(self._reader, 65536).decode().replace("\r\n", "\n")
        return found

    def close(self) -> None:
        self.stream.close()
        os.close(self._reader)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    found = Terminal()
    yield found
    found.close()


def test_changing_lines_stay_below_the_others(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)
    assert screen.columns == 59
    screen.draw(["one", "two"])
    screen.write(["kept"])
    screen.draw(["three"])
    screen.draw([])
    up = "\r\x1b[{}A\x1b[J".format
    assert terminal.read("three\n" + up(1)) == "one\ntwo\n" + up(2) + "kept\none\ntwo\n" + up(2) + "three\n" + up(1)


def test_only_a_terminal_gets_colours_and_changing_lines(terminal: Terminal, tmp_path: Path) -> None:
    Screen(terminal.stream).write(["no", "good"], "red")
    assert terminal.read("0m\n") == "\x1b[31mno\ngood\x1b[0m\n"
    with (tmp_path / "log").open("w") as stream:
        screen = Screen(stream)
        screen.write(["no"], "red")
        screen.draw(["bar"])
    assert (tmp_path / "log").read_text() == "no\n"


def test_what_processes_write_is_passed_on_line_by_line(tmp_path: Path) -> None:
    with (tmp_path / "original").open("w") as file:
        received: list[str] = []
        redirected = Redirected(file.fileno(), "utf-8")
        os.write(file.fileno(), b"first\nbar 1\rbar 2\r\nsec")
        redirected.start(received.append)
        os.write(file.fileno(), b"ond\nwithout an end")
        print("directly", file=redirected.stream, flush=True)
        redirected.close()
        assert received == ["first", "bar 2", "second", "without an end"]
        os.write(file.fileno(), b"afterwards\n")
    assert (tmp_path / "original").read_text() == "directly\nafterwards\n"
