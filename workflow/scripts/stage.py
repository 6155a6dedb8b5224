"""What every script needs before it imports `metalqr`: the path, the thread counts, the log. Import it first.

A script of Snakemake finds neither `src/` (PYTHONPATH is dropped in conda jobs) nor Numba's thread count. Importing
this module settles both, and sends log records, warnings and the traceback of an uncaught error to the rule's log file;
the terminal gets one line. It also removes what a killed job before this one left of its outputs.
"""

import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import __main__

#: Snakemake puts this object into the script, which runs as `__main__`.
snakemake: Any = __main__.snakemake

ROOT = Path(__file__).resolve().parents[2]


def _set_path() -> None:
    # In front of everything: this checkout's package, not another version that happens to be installed.
    sys.path.insert(0, str(ROOT / "src"))


def _set_threads() -> None:
    os.environ["NUMBA_NUM_THREADS"] = str(snakemake.threads)
    # One thread for BLAS, whatever the job has: its matrices are tiny, and sums split over threads round differently.
    for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{library}_THREADS" if library.endswith("MAXIMUM") else f"{library}_NUM_THREADS"] = "1"


def _open_log() -> None:
    logging.basicConfig(
        filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.captureWarnings(True)
    # On a full disk the log cannot be written either, which must not bury the message about it.
    logging.raiseExceptions = False
    sys.excepthook = _report


def _load_plugins() -> None:
    """Import the user's plug-ins, whose places are in the config of the Snakemake that runs this job."""
    files = snakemake.config.get("plugins")
    if files:
        from metalqr.config.registry import load_plugins

        load_plugins(files, Path.cwd())


def _discard_leftovers() -> None:
    from metalqr.common.atomic import discard_leftovers

    for output in snakemake.output:
        discard_leftovers(output)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("stage").error("".join(traceback.format_exception(kind, error, trace)))
    job = ", ".join(f"{name}={value}" for name, value in snakemake.wildcards.items())
    message = " ".join(str(error).split()) or kind.__name__
    print(f"{snakemake.rule}({job}): {kind.__name__}: {message} [traceback: {snakemake.log[0]}]", file=sys.stderr)


_set_path()
_set_threads()
_open_log()
_load_plugins()
_discard_leftovers()
