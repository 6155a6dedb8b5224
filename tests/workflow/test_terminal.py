"""The output of `--logger metalqr`: a line a job and the closing lines, on a terminal and in a pipe, and what fails."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from project import Project, elsewhere, environment

pytestmark = pytest.mark.slow

LOGGER = ("--cores", "2", "--logger", "metalqr")
#: Time of day, seconds, stage and name.
LINE = re.compile(r"\d\d:\d\d:\d\d +\d+\.\d s  (\w+) +(\S.*)")
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


def on_a_terminal(project: Project, *arguments: str) -> str:
    """What Snakemake writes to a terminal of 80 columns."""
    reader, writer = pty.openpty()
    settings = {**environment(), "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(project.command(*arguments), stdin=writer, stdout=writer, stderr=writer, env=settings):
        os.close(writer)
        found = b""
        while True:
            try:
                part = os.read(reader, 65536)
            except OSError:  # as Linux says that the other end is closed
                break
            if not part:
                break
            found += part
    os.close(reader)
    return found.decode()


def lines_of_jobs(printed: str) -> list[tuple[str, str]]:
    return sorted((match[1], match[2]) for line in printed.splitlines() if (match := LINE.fullmatch(line.strip())))


def expected(project: Project, *targets: str) -> list[tuple[str, str]]:
    """Stage and case of each job, by the files that it makes."""
    outputs = [Path(path) for paths in project.planned(*targets).values() for path in paths]
    return sorted((path.parts[1], path.stem) for path in outputs if path.parts[0] == "results")


def test_a_line_for_each_job_on_a_terminal_and_in_a_pipe(fresh: Project, tmp_path: Path) -> None:
    places = {kind: tmp_path / kind for kind in ("terminal", "pipe")}
    for place in places.values():
        place.mkdir()
    project = elsewhere(fresh, places["terminal"])
    jobs = expected(project, "tasks")
    shown = on_a_terminal(project, "tasks", *LOGGER)
    kept = CONTROL.sub("", shown)
    assert lines_of_jobs(kept) == jobs == [("tasks", "d1k1"), ("tasks", "d2k2")]
    assert re.search(r"\d of 2 jobs  \|.+\|  \d+ % of the work", kept)
    assert "\x1b[?" not in shown  # no mode of the terminal is changed, which a kill would leave so
    assert re.search(
        r"All 2 jobs are done, after .*\.\s+Logs: \S+/made/results/logs, \S+/made/\.snakemake/log/\S+\.log\s*$", kept
    )

    printed = elsewhere(fresh, places["pipe"]).snakemake("tasks", *LOGGER)
    assert not CONTROL.search(printed)
    assert lines_of_jobs(printed) == jobs
    # Snakemake says which profile it uses before it knows of any logger.
    _, first, *lines = printed.splitlines()
    assert re.fullmatch(r"2 jobs on 2 cores, about \d+ s", first)
    assert len(lines) == len(jobs) + 2
    (log,) = (places["pipe"] / "made/.snakemake/log").glob("*.log")
    assert "rule generate_tasks:" in log.read_text(encoding="utf-8")


def test_a_failed_job_says_why_and_where_its_log_is(fresh: Project, tmp_path: Path) -> None:
    project = elsewhere(fresh, tmp_path)
    project.snakemake("tasks", "--cores", "2")
    tasks = project.directory / "results/tasks/d1k1.nc"
    tasks.write_bytes(tasks.read_bytes()[:100])
    printed = project.snakemake("results/optima/d1k1.nc", "results/optima/d2k2.nc", *LOGGER, succeeds=False)
    assert lines_of_jobs(printed) == [("optima", "d2k2")]
    failed = r"^FAILED  solve_optima  d1k1 after [\d.]+ s\n  \S+/made/results/logs/optima/d1k1.log ends:$"
    assert re.search(failed, printed, re.MULTILINE)
    assert len(re.findall("FAILED", printed)) == 1
    assert "run the same command again: finished jobs are kept." in printed
    assert re.search(r"^1 of 2 jobs failed, 1 are done, after ", printed, re.M)


def test_nothing_to_do_and_a_dry_run(finished: Project) -> None:
    assert "Nothing to be done" in finished.snakemake(*LOGGER)
    assert "This was a dry-run" in finished.snakemake("--dry-run", "--forceall", *LOGGER)
