"""A process that has imported Snakemake once, and of which each call is a fork: the import is most of a short call.

Each line of its standard input asks for one `python -m snakemake`; it answers with the exit code, below zero for that
of a signal. The scripts of these Snakemakes are forks too, of a process that has imported the libraries of the jobs;
`job.py` passes them on. Neither imports anything of the project, whose modules each call must find by itself.
"""

import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

#: What every call imports sooner or later.
OF_SNAKEMAKE = (
    "nbformat",
    "packaging.version",
    "platformdirs",
    "pydantic",
    "ruamel.yaml",
    "smart_open",
    "snakemake.cli",
    "snakemake.profiles",
    "snakemake.report.html_reporter",
    "snakemake.storage",
)
#: Not Numba, which takes its number of threads from the job. Of pydantic the modules: the package finds them lazily.
OF_JOBS = (
    "matplotlib.backends.backend_pdf",
    "netCDF4",
    "pydantic.functional_serializers",
    "pydantic.json_schema",
    "pydantic.main",
    "pydantic.type_adapter",
    "ruamel.yaml",
    "scipy.linalg",
    "scipy.optimize",
    "seaborn",
    "snakemake.script",
    "xarray",
    "yaml",
)


def load(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # so that a child copies fewer pages


def become(request: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Take on the environment and folder of a call, and its standard streams."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])


def snakemake(request: dict[str, Any], jobs: str) -> NoReturn:
    """Go on as a Snakemake that has just been started."""
    become(request, [os.open(os.devnull, os.O_RDONLY), *(os.open(path, os.O_WRONLY) for path in request["printed"])])
    signal.alarm(request["seconds"])
    sys.path[0] = request["folder"]
    sys.argv = ["snakemake", *request["arguments"]]
    sys.executable = f"{sys.executable} -IS {Path(__file__).with_name('job.py')} {jobs}"
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    sys.exit()


def job(request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Go on as a Python that has just been started with a script."""
    become(request, descriptors)
    sys.argv = request["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()


def serve_jobs(listener: socket.socket) -> None:
    load(OF_JOBS)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that none is left a zombie
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            content, descriptors, *_ = socket.recv_fds(connection, 1 << 20, 3)
            process = os.fork()
            if process == 0:
                job(json.loads(content), descriptors)
            connection.send(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())
            os._exit(0)
        connection.close()


def main() -> None:
    # Before NumPy is imported: what every job sets.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    # Without `with`: each call leaves this function too, by an exception.
    jobs = f"{tempfile.mkdtemp()}/jobs"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(jobs)
    listener.listen()
    process_of_jobs = os.fork()
    if process_of_jobs == 0:
        serve_jobs(listener)
    load(OF_SNAKEMAKE)
    for line in iter(sys.stdin.readline, ""):
        process = os.fork()
        if process == 0:
            snakemake(json.loads(line), jobs)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    os.kill(process_of_jobs, signal.SIGTERM)
    shutil.rmtree(Path(jobs).parent)


if __name__ == "__main__":
    main()
