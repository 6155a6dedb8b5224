"""A process that has imported Snakemake once, and of which each call is a fork: the import is most of a short call.

Each line of its standard input asks for one `python -m snakemake`; it answers with the exit code, below zero for that
of a signal.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
from typing import Any, NoReturn

#: What every call imports sooner or later; nothing of the project, whose modules each call must find by itself.
PRELOADED = ("nbformat", "platformdirs", "pydantic", "smart_open", "snakemake.cli", "snakemake.report.html_reporter")


def call(request: dict[str, Any]) -> NoReturn:
    """Go on as a Snakemake that has just been started."""
    for number, (path, mode) in enumerate([(os.devnull, os.O_RDONLY), *((p, os.O_WRONLY) for p in request["printed"])]):
        opened = os.open(path, mode)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    signal.alarm(request["seconds"])
    sys.path[0] = request["folder"]
    sys.argv = ["snakemake", *request["arguments"]]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    sys.exit()


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()  # so that a child copies fewer pages
    for line in iter(sys.stdin.readline, ""):
        process = os.fork()
        if process == 0:
            call(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
