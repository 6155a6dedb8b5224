"""Set up a script before it imports `metalqr`: the path, the environment, the log. Import it first.

A script of Snakemake finds neither `src/` (PYTHONPATH is dropped in conda jobs) nor Numba's thread count. Importing
this module sets both and undoes what the caller's environment would change, and sends log records, warnings and the
traceback of an uncaught error to the rule's log file; the terminal gets one line. It also removes temporary files that
an earlier, killed job left for the same outputs.
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

# First on the path: this checkout's package, not an installed version.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from metalqr.common.python_path import installed_first  # noqa: E402
from metalqr.common.threads import one_blas_thread  # noqa: E402

installed_first()

os.environ["NUMBA_NUM_THREADS"] = str(snakemake.threads)
one_blas_thread()

# A notebook's backend is not installed here, and a debugging session turns compilation off.
os.environ["MPLBACKEND"] = "agg"
os.environ.pop("NUMBA_DISABLE_JIT", None)

logging.basicConfig(
    filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
)
logging.captureWarnings(True)
# On a full disk the log cannot be written either, which must not hide the error message.
logging.raiseExceptions = False


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("stage").error("".join(traceback.format_exception(kind, error, trace)))
    job = ", ".join(f"{name}={value}" for name, value in snakemake.wildcards.items())
    message = " ".join(str(error).split()) or kind.__name__
    print(f"{snakemake.rule}({job}): {kind.__name__}: {message} [traceback: {snakemake.log[0]}]", file=sys.stderr)


sys.excepthook = _report

from metalqr.common.atomic import discard_leftovers  # noqa: E402
from metalqr.config.registry import load_plugins  # noqa: E402

# The user's plug-ins, whose paths are in the config of the Snakemake that runs this job.
load_plugins(snakemake.config.get("plugins") or [], Path.cwd())
for output in snakemake.output:
    discard_leftovers(output)
