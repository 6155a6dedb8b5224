"""The cache of compiled code: it must notice a change in any file that the compiled code contains."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import metalqr
from metalqr import compiled

PROGRAM = """
import numpy as np
from metalqr import LQRTasks, Stream, kernel, rollout
one = np.ones((1, 1, 1))
print(rollout.costs(LQRTasks(0.5 * one, one, one, one, one), np.zeros((1, 1, 1, 1)), 3, Stream(0))[0, 0])
print(len(kernel.kernels(1, 1).costs.stats.cache_hits))
"""


def _run(folder: Path) -> tuple[float, int]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    cost, hits = done.stdout.split()
    return float(cost), int(hits)


@pytest.mark.slow
def test_an_edit_of_the_random_numbers_reaches_the_rollouts(tmp_path: Path) -> None:
    """Numba alone looks at the file of the cached function only, and would go on with the old numbers."""
    package = tmp_path / "metalqr"
    shutil.copytree(Path(metalqr.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    first, hits = _run(tmp_path)
    assert hits == 0
    again, hits = _run(tmp_path)
    assert (again, hits) == (first, 1)
    source = package / "normals.py"
    text = source.read_text()
    assert "ROUNDS = 10" in text
    source.write_text(text.replace("ROUNDS = 10", "ROUNDS = 9"))
    changed, hits = _run(tmp_path)
    assert changed != first
    assert hits == 0
    source.write_text(text)
    assert _run(tmp_path) == (first, 1)


def test_every_file_with_compiled_code_is_part_of_the_digest() -> None:
    folder = Path(metalqr.__file__).parent
    texts = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}
    users = {name for name, text in texts.items() if "import numba" in text or "metalqr.lanes" in text}
    assert users <= set(compiled._SOURCES)
    assert {"normals.py", "random.py", "kernel.py"} <= users
