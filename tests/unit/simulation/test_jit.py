"""The cache of compiled code: it must notice a change in any file that the compiled code contains."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

import metalqr
from metalqr import LQRTasks, Stream, rollout
from metalqr.simulation.simd import jit

PROGRAM = """
import numpy as np
from metalqr import LQRTasks, Stream, rollout
from metalqr.simulation.simd import kernel
one = np.ones((1, 1, 1))
print(rollout.costs(LQRTasks(0.5 * one, one, one, one, one), np.zeros((1, 1, 1, 1)), 3, Stream(0))[0, 0])
print(len(kernel.kernel(1, 1).stats.cache_hits))
"""


def _run(folder: Path) -> tuple[float, int]:
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    cost, hits = done.stdout.split()
    return float(cost), int(hits)


@pytest.mark.slow
def test_an_edit_of_the_random_numbers_reaches_the_rollouts(tmp_path: Path) -> None:
    """Numba alone looks at the file of the cached function only, and would go on with the old numbers."""
    # With what this process has compiled or loaded, so that the copy need not compile it once more.
    one = np.ones((1, 1, 1))
    expected = rollout.costs(LQRTasks(0.5 * one, one, one, one, one), np.zeros((1, 1, 1, 1)), 3, Stream(0))[0, 0]
    package = tmp_path / "metalqr"
    shutil.copytree(Path(metalqr.__file__).parent, package)
    first, _ = _run(tmp_path)
    assert first == expected
    again, hits = _run(tmp_path)
    assert (again, hits) == (first, 1)
    source = package / "simulation" / "simd" / "normals.py"
    text = source.read_text()
    assert "ROUNDS = 10" in text
    source.write_text(text.replace("ROUNDS = 10", "ROUNDS = 9"))
    changed, hits = _run(tmp_path)
    assert changed != first
    assert hits == 0
    source.write_text(text)
    assert _run(tmp_path) == (first, 1)


def _save_and_load(folder: Path, worker: int) -> list[tuple[int, int]]:
    store = jit._Store(folder, "function")
    for key in range(200):
        store.save(("signature", key if key % 2 else 1000 * worker + key), key)
    return [(key, store.load(("signature", key))) for key in range(1, 200, 2)]


def test_processes_that_start_together_get_the_code_of_their_own_signatures(tmp_path: Path) -> None:
    """All write the odd keys, each its own even ones. Numba's index would give code of another signature."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(_save_and_load, [tmp_path] * 4, range(4)):
            assert found == [(key, key) for key in range(1, 200, 2)]
    store = jit._Store(tmp_path, "function")
    assert all(store.load(("signature", 1000 * worker + key)) == key for worker in range(4) for key in range(0, 200, 2))
    assert not list(tmp_path.glob("*.tmp"))
    store.flush()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"not a pickle"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    store = jit._Store(tmp_path, "function")
    store.save("key", 7)
    [path] = tmp_path.iterdir()
    path.write_bytes(content)
    assert store.load("key") is None
    store.save("key", 7)
    assert store.load("key") == 7


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in place of a folder")
    with pytest.warns(RuntimeWarning, match="cannot be stored .* set NUMBA_CACHE_DIR"):
        jit._Store(tmp_path / "file", "function").save("key", 7)


def test_without_any_folder_code_is_compiled_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(locator: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)
    with pytest.warns(RuntimeWarning, match="cannot be stored .* set NUMBA_CACHE_DIR"):
        double = jit.compiled()(lambda x: x + x)
    assert double(2.0) == 4.0


def test_every_file_with_compiled_code_is_part_of_the_digest() -> None:
    folder = Path(jit.__file__).parent
    package = Path(metalqr.__file__).parent
    texts = {path.resolve(): path.read_text() for path in package.rglob("*.py")}
    users = {path for path, text in texts.items() if "import numba" in text or "simulation.simd.lanes" in text}
    assert users <= {(folder / name).resolve() for name in jit._SOURCES}
    assert {folder / "normals.py", folder.parent / "streams.py", folder / "kernel.py"} <= users
