"""The words and lines of the terminal's output."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

#: Columns of the time that a job took, and of its stage.
_TIME, _STAGE = 8, 16
#: The line of a log that says how far a training is, see :class:`metalqr.training.progress.Progress`.
_ITERATION = re.compile(r"iteration (\d+) of (\d+)")
#: Bytes from the end of a log in which its last lines are.
_END = 4096
#: Lines of the log of a failed job that are shown.
_LINES = 6
#: What Snakemake says without an event, and nobody has to know.
_NOISE = re.compile(
    "Assuming unrestricted shared filesystem|Building DAG of jobs|Using shell:|Provided |Rules claiming more threads"
    r"|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive|Select jobs|Execute \d+ jobs"
    "|Using workflow specific profile|Config file .* is extended|Complete log|Workflow has started"
    r"|Creating report|Adding \S+ \(|Loading script code"
)
#: What it says of jobs that have failed, beside the lines of each.
_OF_FAILURES = re.compile(
    "CalledProcessError in file|Exiting because a job execution failed|At least one job did not complete successfully"
)
#: What it says when it is interrupted.
_INTERRUPTED = "Terminating processes on user request"


def duration(seconds: float) -> str:
    """A time in words, as long as a reader can use.

    Examples
    --------
    >>> duration(3.14), duration(75), duration(3725)
    ('3.1 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) // 60 % 60} min"


def about(seconds: float) -> str:
    """An uncertain time: in steps of ten seconds, and in minutes from two on.

    Examples
    --------
    >>> about(3), about(75), about(700), about(9000)
    ('10 s', '80 s', '12 min', '2 h 30 min')
    """
    if seconds <= 115:
        return f"{10 * max(1, math.ceil(seconds / 10))} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def finished(clock: str, seconds: float | None, stage: str, what: str) -> str:
    """The line of a finished job."""
    taken = "" if seconds is None else _short(seconds)
    return f"{clock}  {taken:>{_TIME}}  {stage:<{_STAGE}}  {what}".rstrip()


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 999.5 else f"{seconds / 60:.0f} min"


def failed(job: str, seconds: float | None, logs: Mapping[str, str], goes_on: bool) -> list[str]:
    """The lines of a failed job: what it was, how its log ends, and what to do.

    The logs are paths as they are shown, each with that by which the file is found.
    """
    after = "" if seconds is None else f" after {duration(seconds)}"
    lines = [f"FAILED  {job}{after}"]
    for log, path in logs.items():
        end = last_lines(path)
        lines += [f"  {log} {'ends:' if end else 'is empty.'}", *(f"    | {line}" for line in end)]
    rest = ["  Jobs that do not need it continue."] if goes_on else []
    return [*lines, *rest, "  Correct the cause, then run the same command again: finished jobs are kept."]


def last_lines(path: str, count: int = _LINES) -> list[str]:
    """The last lines of a file that are not empty; none if it cannot be read."""
    return [line.rstrip() for line in _end(path).splitlines() if line.strip()][-count:]


def _end(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _END))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def running(stage: str, what: str, seconds: float, logs: Sequence[str], width: int, plain: bool) -> str:
    """The line of a running job; with a bar if its log says how far it is."""
    head = f"          {duration(seconds) if seconds >= 60 else f'{seconds:.0f} s':>{_TIME}}  {stage:<{_STAGE}}  {what}"
    found = _ITERATION.findall(_end(logs[0])) if logs else []
    if not found or len(head) + 20 > width:
        return head[:width]
    done, count = map(int, found[-1])
    return bar(head, done, max(count, 1), f"{done}/{count}", width, plain)


def total(counts: tuple[int, int], share: float, passed: float, left: float | None) -> str:
    """Jobs done and to do, the share of the work, the time so far, and that to come."""
    done, jobs = counts
    rest = "" if left is None or done == jobs else f", about {about(left)} left"
    return f"{done} of {jobs} jobs, {_percent(share)} of the work, {duration(round(passed))}{rest}"


def total_bar(counts: tuple[int, int], share: float, passed: float, left: float | None, width: int, plain: bool) -> str:
    """The same with a bar."""
    done, jobs = counts
    rest = "" if left is None or done == jobs else f", about {about(left)} left"
    tail = f"{_percent(share)} of the work, {duration(round(passed))}{rest}"
    return bar(f"{done} of {jobs} jobs", share, 1.0, tail, width, plain)


def bar(head: str, done: float, whole: float, tail: str, width: int, plain: bool) -> str:
    """A bar between two texts that fills a line; without the bar where there is no room."""
    if len(head) + len(tail) + 10 > width:
        return f"{head}  {tail}"[:width]
    form = "{}  |{{bar}}|  {}".format(*(text.replace("{", "{{").replace("}", "}}") for text in (head, tail)))
    return str(tqdm.format_meter(done, whole, 0, ncols=width, ascii=plain, bar_format=form))


def _percent(share: float) -> str:
    # 100 only at the end, and 0 only at the start.
    return f"{math.floor(100 * share) if share > 0.01 or share == 0 else 1} %"


def is_noise(message: str) -> bool:
    """True if a message of Snakemake is not worth a line."""
    return not message.strip() or message == "None" or _NOISE.match(message.lstrip()) is not None


def repeats_a_failure(message: str) -> bool:
    """True if an error says no more than that a job has failed."""
    return _OF_FAILURES.search(message) is not None


def is_interruption(message: str) -> bool:
    """True if a message says that all jobs are being ended."""
    return message.startswith(_INTERRUPTED)


def described(wildcards: Mapping[str, str]) -> str:
    """A job of which the plan says nothing."""
    return ", ".join(wildcards.values())


def closing(counts: tuple[int, int], failures: int, passed: float, places: Mapping[str, str]) -> list[str]:
    """The last lines: what was done, and where to look."""
    done, jobs = counts
    after = f"after {duration(passed)}"
    if failures:
        end = f"{failures} of {jobs} jobs failed, {done} are done, {after}."
    elif done < jobs:
        end = f"Stopped {after}: {done} of {jobs} jobs are done.\nRun the same command again to continue."
    else:
        end = f"All {jobs} jobs are done, {after}."
    width = max(map(len, places), default=0) + 1
    shown = [f"  {name + ':':<{width}} {place}" for name, place in places.items()]
    return [*end.splitlines(), *shown]
