"""Running Snakemake as a user does, on a copy of the project with a tiny config."""

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import xarray as xr
from places import ROOT, TINY

PARTS = ["Snakefile", "config.yaml", "envs", "profiles", "src", "workflow"]


#: After so long a Snakemake hangs.
SECONDS = 600
#: Processes of the running test, each the leader of a group of its own.
_started: list[subprocess.Popen[str]] = []


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL for a Snakemake that a test has started and for all its jobs, as when a machine goes down."""
    # Its number can be another group's only when the group is gone and its leader has been waited for.
    if process.returncode is None or group_lives(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def group_lives(process: subprocess.Popen[str]) -> bool:
    """Whether anything that Snakemake has started still runs."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_what_was_started() -> None:
    """End what the running test has started and not ended."""
    while _started:
        with _started.pop() as process, suppress(ProcessLookupError):  # which also closes its pipe
            if group_lives(process):
                os.killpg(process.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Without PYTHONPATH, as on a fresh machine: the scripts must find the package themselves."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@cache
def _server() -> subprocess.Popen[str]:
    """The process of these tests whose forks are the Snakemakes that a test waits for, see server.py."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py")],
        # Each call brings its environment. The server gets nothing of this moment's, which may be that of a test's
        # cluster: what has its folder in the environment is killed with it.
        env={"PATH": os.defpath, "HOME": os.environ.get("HOME", "/")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)  # which closes its standard input, and so ends it
    return process


def _served(arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run `python -m snakemake` in a folder, without its imports."""
    server = _server()
    assert server.stdin
    assert server.stdout
    with tempfile.TemporaryDirectory() as temporary:
        printed = [Path(temporary, name) for name in ("stdout", "stderr")]
        for path in printed:
            path.touch()
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "environment": environment(),
            "printed": [str(path) for path in printed],
            "seconds": SECONDS,
        }
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        returncode = int(server.stdout.readline())
        assert returncode != -signal.SIGALRM, f"{arguments} took more than {SECONDS} s"
        return returncode, "".join(path.read_text(encoding="utf-8") for path in printed)


@dataclass
class Project:
    """A copy of the project and a folder with what it made."""

    root: Path
    directory: Path
    configs: list[Path] = field(default_factory=lambda: [TINY])
    #: What the command begins with, such as a program that takes rights away.
    prefix: list[str] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        """The command line of Snakemake for this project."""
        # configargparse takes all that follows a list option, so the targets come before it.
        places = ("--snakefile", str(self.root / "Snakefile"), "--directory", str(self.directory))
        command = [*self.prefix, sys.executable, "-m", "snakemake", *arguments, *places]
        return [*command, "--configfile", *map(str, self.configs)]

    def snakemake(self, *arguments: str, succeeds: bool = True) -> str:
        """Run Snakemake from a folder that is neither, and return all it printed."""
        command, folder = self.command(*arguments), self.root.parent
        if self.prefix:
            run = partial(subprocess.run, capture_output=True, text=True, timeout=SECONDS)
            done = run(command, cwd=folder, env=environment())
            returncode, printed = done.returncode, done.stdout + done.stderr
        else:
            returncode, printed = _served(command[3:], folder)
        assert (returncode == 0) == succeeds, printed
        return printed

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake and its jobs as a process group of their own; what lives at the end of the test is killed."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.root.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # In the background of a shell SIGINT is ignored, and processes inherit that, tests and theirs included.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        _started.append(process)
        return process

    def results(self) -> dict[str, Path]:
        """The files that the stages make, hidden ones included, by their name under `results/`."""
        folder = self.directory / "results"
        made = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return {name: path for name, path in made.items() if not name.startswith(("logs/", "timings/"))}

    def planned(self, *targets: str) -> dict[str, list[str]]:
        """By rule, the first output of every job that a dry run would start, by default of everything."""
        jobs: dict[str, list[str]] = {}
        rule = None
        for line in self.snakemake(*targets, "--dry-run").splitlines():
            if match := re.match(r"(?:local)?rule (\w+):", line):
                rule = match[1]
            elif rule and (match := re.match(r"\s+output: ([^,\s]+)", line)):
                jobs.setdefault(rule, []).append(match[1])
                rule = None
        return {rule: sorted(outputs) for rule, outputs in jobs.items()}

    def overlay(self, text: str) -> "Project":
        """The same project with one more config laid over."""
        path = self.directory / "overlay.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return replace(self, configs=[*self.configs, path])

    @contextmanager
    def edited(self, name: str) -> Iterator[None]:
        """One of the project's files with a comment more, while the block runs; afterwards it has its time again."""
        path = self.root / name
        before, times = path.read_bytes(), path.stat()
        path.write_bytes(before + b"# edited\n")
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def copied(self, folder: Path) -> "Project":
        """The same project with a copy of the results, whose times stay as they do when a folder is moved."""
        shutil.copytree(self.directory, folder / "made")
        return elsewhere(self, folder)

    def moved(self, folder: Path) -> "Project":
        """A copy elsewhere, of the project too."""
        shutil.copytree(self.root, folder / "project")
        return replace(self.copied(folder), root=folder / "project")


def copy_sources(folder: Path) -> None:
    """Copy what makes the pipeline into a new folder, without anything that it has made."""
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns(".snakemake"))
        else:
            shutil.copy2(source, folder / part)


def assert_same_results(project: Project, expected: Project, without: tuple[str, ...] = ()) -> None:
    """The same files, nothing beside them, and the same contents, some stages aside; netCDF is compared by contents."""
    mine, others = project.results(), expected.results()
    others = {name: path for name, path in others.items() if not name.startswith(without)}
    assert sorted(set(mine) ^ set(others)) == []
    for name, path in mine.items():
        if path.suffix == ".nc":
            with xr.open_datatree(path) as tree, xr.open_datatree(others[name]) as other:
                xr.testing.assert_identical(tree, other)
        else:
            assert path.read_bytes() == others[name].read_bytes(), name


def elsewhere(project: Project, folder: Path) -> Project:
    """The same project and config, with nothing made."""
    return Project(project.root, folder / "made", project.configs)


def until(happens: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120.0) -> bool:
    """Wait until a condition holds; false if the process has ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    raise TimeoutError(f"nothing happened within {seconds} s")
