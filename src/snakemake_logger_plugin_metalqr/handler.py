"""The handler that Snakemake gives the records of its log."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from logging import ERROR, INFO, WARNING, LogRecord
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_metalqr import text
from snakemake_logger_plugin_metalqr.screen import Redirected, Screen
from snakemake_logger_plugin_metalqr.work import Work

#: Seconds from one drawing of the changing lines to the next, and between two totals where there is no terminal.
_REFRESH, _TOTAL = 0.5, 60.0
#: The least pause between two drawings, in multiples of the time that one takes.
_REST = 20.0
#: Running jobs that the changing lines show.
_SHOWN = 4
#: Files to look at, where a run has made them.
_PLACES = {"Page": "results/page.html", "Figure 1": "results/figures/figure1.pdf"}
#: The folder of the logs of the jobs.
_LOGS = "results/logs"


class Planned(NamedTuple):
    """What the Snakefile says of a job that will run, in the attribute ``planned`` of a record."""

    rule: str
    stage: str
    what: str
    seconds: float
    threads: int


class _Started(NamedTuple):
    stage: str
    what: str
    logs: list[str]
    outputs: list[str]


class LogHandler(LogHandlerBase):
    """One line for each finished job, and on a terminal bars below.

    A dry run, and whoever asks for more (``--verbose``, ``--printshellcmds``, ``--debug-dag``), gets Snakemake's own
    output.
    """

    def __post_init__(self) -> None:
        common = self.common_settings
        self._own: ColorizingTextHandler | None = None
        self._redirected: Redirected | None = None
        if common.dryrun or common.verbose or common.debug_dag or common.printshellcmds:
            self._own = ColorizingTextHandler(
                nocolor=common.nocolor,
                stream=sys.stdout if common.stdout else sys.stderr,
                formatter=DefaultFormatter(common.quiet, common.show_failed_logs),
            )
            return
        self._screen = Screen(sys.stderr, colours=not common.nocolor)
        if self._screen.is_terminal:
            self._redirected = Redirected(sys.stderr.fileno(), sys.stderr.encoding)
            self._screen = Screen(self._redirected.stream, colours=not common.nocolor)
            self._redirected.start(lambda line: self._screen.write([line]))
        # Snakemake goes to --directory later; paths are shown as they are from here.
        self._folder = Path.cwd()
        self._begun = self._told = time.time()
        self._work = Work({})
        self._planned: dict[int, Planned] = {}
        self._started: dict[int, _Started] = {}
        self._log: str | None = None
        self._interrupted = False
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake writes its full log as always."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's filter knows what ``--quiet`` asks for."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Snakemake's formatter makes text of the records that are shown as they are."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Not needed."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Show a record, or count it."""
        if self._own is not None:
            self._own.emit(record)
            return
        try:
            with self._lock:
                self._handle(record)
        except Exception:  # as the other handlers of Python's logging do
            self.handleError(record)

    def close(self) -> None:
        """Write the last lines and leave the terminal as it was; further calls do nothing."""
        if self._own is None and not self._closing.is_set():
            self._closing.set()
            self._ticker.join()
            with self._lock:
                self._screen.draw(())
                if self._planned:
                    places = {name: self._seen(place) for name, place in _PLACES.items() if Path(place).exists()}
                    places["Logs"] = ", ".join(map(self._seen, [_LOGS, *([self._log] if self._log else [])]))
                    passed, failures = time.time() - self._begun, 0 if self._interrupted else len(self._work.failed)
                    self._screen.write(text.closing(self._counts(), failures, passed, places))
            if self._redirected is not None:
                self._redirected.close()
        super().close()

    def _handle(self, record: LogRecord) -> None:
        event, given, now = getattr(record, "event", None), record.__dict__, record.created
        if "planned" in given:
            self._plan({job: Planned(*each) for job, each in given["planned"].items()}, now)
        elif event == LogEvent.RESOURCES_INFO:
            self._work.cores = given.get("cores", self._work.cores)
        elif event == LogEvent.JOB_INFO:
            self._start(given, now)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(given["job_id"], now)
        elif event == LogEvent.JOB_ERROR:
            self._fail(given, now)
        elif event in (None, LogEvent.ERROR, LogEvent.GROUP_ERROR):
            self._say(record)

    def _plan(self, planned: dict[int, Planned], now: float) -> None:
        self._planned = planned
        jobs = {job: (each.rule, each.seconds, each.threads) for job, each in planned.items()}
        self._work = Work(jobs, self._work.cores)
        if planned:
            cores = self._work.cores
            where = "" if cores is None else f" on {cores} core{'s' if cores > 1 else ''}"
            most = "" if cores is None else f", about {text.about(self._work.left(now))}"
            self._screen.write([f"{len(planned)} jobs{where}{most}"])

    def _start(self, given: dict[str, Any], now: float) -> None:
        job = given["jobid"]
        planned = self._planned.get(job)
        stage = planned.stage if planned else given["rule_name"]
        what = planned.what if planned else text.described(given["wildcards"] or {})
        self._started[job] = _Started(stage, what, list(given["log"]), list(given["output"]))
        self._work.started(job, now)

    def _finish(self, job: int, now: float) -> None:
        seconds, started = self._work.finished(job, now), self._started.pop(job, None)
        if started is None or not started.outputs:  # a target, which makes nothing
            return
        clock = time.strftime("%H:%M:%S", time.localtime(now))
        self._screen.write([text.finished(clock, seconds, started.stage, started.what)])

    def _fail(self, given: dict[str, Any], now: float) -> None:
        job = given["jobid"]
        if job in self._work.failed:  # once more, at the end
            return
        seconds, started = self._work.failed_at(job, now), self._started.pop(job, None)
        if self._interrupted:  # it has not failed by itself
            return
        name = f"{given['rule_name']}  {started.what}" if started else given["rule_name"]
        logs = {self._seen(log): log for log in given["log"]}
        self._screen.write(text.failed(name, seconds, logs, bool(self._work.running)), "red")

    def _say(self, record: LogRecord) -> None:
        message = self.format(record)
        if message.startswith("Complete log"):
            self._log = message.partition(":")[2].strip()
        self._interrupted |= text.is_interruption(message)
        if record.levelno <= INFO and text.is_noise(message):
            return
        if record.levelno >= ERROR and text.repeats_a_failure(message):
            return
        colour = "red" if record.levelno >= ERROR else "yellow" if record.levelno >= WARNING else None
        self._screen.write(message.strip("\n").splitlines(), colour)

    def _seen(self, path: str) -> str:
        return os.path.relpath(path, self._folder)

    def _counts(self) -> tuple[int, int]:
        return len(self._work.done & self._planned.keys()), len(self._planned)

    def _left(self, now: float) -> float | None:
        return None if self._work.cores is None else self._work.left(now)

    def _draw(self, now: float) -> None:
        if self._planned and self._screen.is_terminal:
            self._screen.draw(list(self._changing(now)))

    def _changing(self, now: float) -> Iterator[str]:
        width, plain = self._screen.columns, self._screen.plain
        running = [(job, start) for job, start in self._work.running.items() if job in self._started]
        for job, start in running[:_SHOWN]:
            stage, what, logs, _ = self._started[job]
            yield text.running(stage, what, now - start, logs, width, plain)
        if len(running) > _SHOWN:
            yield f"          and {len(running) - _SHOWN} more that run"
        share, passed = self._work.share(now), now - self._begun
        yield text.total_bar(self._counts(), share, passed, self._left(now), width, plain)

    def _tick(self) -> None:
        pause = _REFRESH
        while not self._closing.wait(pause):
            now = time.time()
            with self._lock:
                self._draw(now)
                if self._planned and not self._screen.is_terminal and now - self._told >= _TOTAL:
                    self._told = now
                    line = text.total(self._counts(), self._work.share(now), now - self._begun, self._left(now))
                    self._screen.write([line])
            # So that it takes little of the time, also with ten thousand jobs.
            pause = max(_REFRESH, _REST * (time.time() - now))
