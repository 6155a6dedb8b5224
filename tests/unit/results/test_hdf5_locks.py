"""Files on a file system that has no locks, and messages that name the lock when it is the reason."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from metalqr import results

#: In place of the system's function, as on NFS without a lock daemon.
NO_LOCKS = "#include <errno.h>\nint flock(int file, int operation) { errno = ENOLCK; return -1; }\n"
PROGRAM = """
import sys
if "first" in sys.argv:
    import netCDF4
import numpy as np
from metalqr import results
from metalqr.lqr import LQRTasks

try:
    results.load_tasks(sys.argv[1])
except results.StorageError as error:
    print(error)
one = np.ones((1, 1, 1))
try:
    results.save_tasks(sys.argv[2], LQRTasks(0.5 * one, one, one, one, one), one[0], case="one", settings={})
except results.StorageError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if not compiler or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    folder = tmp_path_factory.mktemp("locks")
    (folder / "flock.c").write_text(NO_LOCKS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "flock.so", folder / "flock.c"], check=True)
    return folder / "flock.so"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "value"), [([], None), (["first"], None), ([], "TRUE")], ids=["default", "netCDF4 first", "locks on"]
)
def test_no_file_needs_a_lock(
    arguments: list[str], value: str | None, library: Path, good: dict[str, Path], tmp_path: Path
) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    environment |= {"LD_PRELOAD": str(library)} | ({"HDF5_USE_FILE_LOCKING": value} if value else {})
    command = [sys.executable, "-c", PROGRAM, str(good["tasks"]), str(tmp_path / "new.nc"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    reason = "it cannot be locked: No locks available"
    remedy = "set HDF5_USE_FILE_LOCKING=FALSE in the environment, then run the command again"
    refused = [
        f"{good['tasks']}: {reason}; {remedy}",
        f"{tmp_path}/new.nc: cannot be written ({reason}); no partial file was left behind; {remedy}",
    ]
    assert done.stdout.splitlines() == (refused if arguments or value else []), done.stderr
    assert (tmp_path / "new.nc").exists() != bool(arguments or value)


def test_a_permission_that_only_the_library_misses_is_not_blamed(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    dataset = results.load_run(files["runs"])
    monkeypatch.setattr(type(dataset), "to_netcdf", denied)
    with pytest.raises(results.StorageError, match=r"\(the netCDF library could not create it and gives no true reas"):
        results.save(tmp_path / "new.nc", dataset)
