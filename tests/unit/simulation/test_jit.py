"""The cache of compiled code: it must notice a change in any file that the compiled code contains."""

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import metalqr
from metalqr.simulation.simd import jit

PROGRAM = """
import numpy as np
from metalqr.simulation.streams import Stream, task_batch
print(task_batch(Stream(0), np.full(1000, 1e-3), 20))
"""
TYPES = ["f8", "i8"]


def _run(folder: Path, **variables: str) -> tuple[str, dict[Path, int]]:
    """The random numbers of the package in a folder, and when each file in its caches was written."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(folder), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ci]")}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package to edit."""
    source, copy = Path(metalqr.__file__).parent, tmp_path / "metalqr"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.slow
def test_an_edit_of_the_random_numbers_reaches_the_code_that_contains_them(package: Path) -> None:
    """Numba alone compares the file of the cached function, ``streams.py``, and would keep the old numbers."""
    folder, source = package.parent, package / "simulation" / "simd" / "normals.py"
    first, cached = _run(folder, NUMBA_CACHE_DIR="")
    assert {path.parent.parent for path in cached} == {source.parent / "__pycache__"}
    assert _run(folder, NUMBA_CACHE_DIR="") == (first, cached)
    text = source.read_text()
    assert "ROUNDS = 10" in text
    source.write_text(text.replace("ROUNDS = 10", "ROUNDS = 9"))
    changed, more = _run(folder, NUMBA_CACHE_DIR="")
    assert changed != first
    assert len(more) == 2 * len(cached)
    source.write_text(text)
    assert _run(folder, NUMBA_CACHE_DIR="") == (first, more)


@pytest.mark.slow
def test_a_package_that_cannot_be_written_uses_the_user_s_cache(package: Path, tmp_path: Path) -> None:
    (package / "simulation" / "simd" / "__pycache__").write_text("in place of a folder")
    _, cached = _run(tmp_path, NUMBA_CACHE_DIR="", HOME=str(tmp_path / "home"))
    assert {path.parent.parent for path in cached} == {tmp_path / "home" / ".cache" / "metalqr"}


@pytest.mark.slow
def test_a_copy_elsewhere_with_new_times_compiles_nothing_again(package: Path, tmp_path: Path) -> None:
    """As a clone, an image of a container or a folder of a node is."""
    numbers, cached = _run(package.parent, NUMBA_CACHE_DIR="")
    copy = tmp_path / "elsewhere" / "metalqr"
    shutil.copytree(package, copy, copy_function=shutil.copyfile)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.nb[ci]")}
    assert _run(copy.parent, NUMBA_CACHE_DIR="") == (numbers, before)
    assert len(before) == len(cached)


def _double(x: Any) -> Any:
    return x + x


def _doubled(types: list[str]) -> list[tuple[str, Any]]:
    found = [(name, jit.compiled()(_double)(np.ones(3, name))) for name in types]
    return [(name, value) for name, value in found if value.dtype != name or np.any(value != 2)]


@pytest.mark.slow
def test_processes_that_start_together_get_the_code_of_their_own_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They begin with different types; in one index of Numba's, two would take the same number."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):
            wrong = pool.map(_doubled, [TYPES, TYPES[::-1]] * 2)
            assert list(wrong) == [[]] * 4
    assert len(list(tmp_path.rglob("*.nbi"))) == len(list(tmp_path.rglob("*.nbc"))) == len(TYPES)
    assert not list(tmp_path.rglob("*.tmp*"))


@pytest.mark.slow
@pytest.mark.parametrize("other", [np.ones((2, 2)), np.ones(3, "i8"), np.ones((3, 2))[:, 0]])
def test_another_type_of_array_than_the_first_is_refused(
    other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    doubled = jit.compiled()(_double)
    assert doubled(np.ones(3)).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(TypeError, match="_double is compiled for an array of 1 dimensions of float64 in one piece as"):
        doubled(other)


def _adder(number: int, parallel: bool) -> Any:
    def add(x: Any) -> Any:
        return x + number

    return jit.compiled(parallel=parallel)(add)


def _added(numbers: list[int], parallel: bool) -> list[float]:
    return [float(_adder(number, parallel)(np.ones(3))[0]) for number in numbers]


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [False, True])
def test_code_that_two_processes_have_compiled_serves_a_third(
    parallel: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numba numbers the functions of a process, so two that differ in their closures alone had the same symbols."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for numbers in ([1], [2], [1, 2]):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(_added, numbers, parallel).result() == [number + 1.0 for number in numbers]


@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"not a pickle"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_file_costs_time_and_nothing_else(
    kind: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert jit.compiled()(_double)(2.0) == 4.0
    (path,) = tmp_path.rglob(f"*.{kind}")
    path.write_bytes(content)
    with pytest.warns(RuntimeWarning, match="cannot be cached"):
        assert jit.compiled()(_double)(2.0) == 4.0
    assert jit.compiled()(_double)(2.0) == 4.0
    assert path.read_bytes() != content


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in place of a folder")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="cannot be cached .* set NUMBA_CACHE_DIR"):
        assert jit.compiled()(_double)(2.0) == 4.0


@pytest.mark.slow
def test_without_compilation_everything_imports_and_rollouts_say_why_not() -> None:
    code = (
        "import numpy as np; from metalqr import LQRTasks, Stream, estimators, meta, optimal, rollout, theory\n"
        "one = np.ones((1, 1, 1))\n"
        "rollout.costs(LQRTasks(one / 2, one, one, one, one), one[None], 3, Stream(0))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    expected = "NUMBA_DISABLE_JIT is set, but rollouts and random numbers need compiled code; unset it"
    assert done.stderr.splitlines()[-1] == f"RuntimeError: {expected}"


def test_every_file_with_compiled_code_is_part_of_the_digest() -> None:
    folder, package = Path(jit.__file__).parent, Path(metalqr.__file__).parent
    texts = {path: path.read_text() for path in package.rglob("*.py")}
    marks = re.compile(r"^ *@(numba|compiled)|simulation\.simd\.lanes", re.MULTILINE)
    users = {path for path, text in texts.items() if marks.search(text)}
    assert {folder / "kernel.py", folder / "normals.py"} <= users
    others = {folder.parent / "streams.py", folder.parent / "user" / "step_rollouts.py"}
    assert {path for path in users if path.parent != folder} == others
