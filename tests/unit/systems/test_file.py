"""Tasks from files of every kind: the same tasks from each, and a message for what is none."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from bad_input import rows
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from places import ROOT
from scipy.io import savemat

from metalqr.config import ConfigError, Plan, check_config, read_config, read_configs
from metalqr.config.folders import relative_to
from metalqr.config.problems import SettingsError
from metalqr.lqr import LQRTasks
from metalqr.systems import source
from metalqr.systems.file import File

GENERATOR = np.random.default_rng(0)
ARRAYS: dict[str, NDArray[np.float64]] = {
    "A": 0.3 * GENERATOR.normal(size=(3, 2, 2)),
    "B": GENERATOR.normal(size=(3, 2, 1)),
    "Q": np.eye(2),
    "R": np.array([[2.0]]),
    "Psi": np.diag([1.0, 0.0]),
    "p": np.array([0.5, 0.25, 0.25]),
    "K0": np.array([[0.1, -0.1]]),
}
MODULE = """
import numpy as np
from metalqr import LQRTasks
def arrays():
    return dict(np.load("NPZ"))
def tasks():
    found = arrays()
    every = {name: np.broadcast_to(found[name], (3, *found[name].shape[-2:])) for name in ("A", "B", "Q", "R", "Psi")}
    return LQRTasks(**every, p=found["p"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of each kind with the same arrays."""
    np.savez(tmp_path / "tasks.npz", **ARRAYS)  # type: ignore[arg-type]
    savemat(tmp_path / "tasks.mat", ARRAYS)
    listed = {name: array.tolist() for name, array in ARRAYS.items()}
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump(listed))
    named = {name: ([f"{name}{axis}" for axis in range(array.ndim)], array) for name, array in ARRAYS.items()}
    xr.Dataset(named).to_netcdf(tmp_path / "tasks.nc")
    (tmp_path / "tasks.py").write_text(MODULE.replace("NPZ", str(tmp_path / "tasks.npz")))
    return tmp_path


def family(folder: Path, **settings: Any) -> File:
    with relative_to(folder):
        return File(File.Settings(**settings))


def assert_equal(found: LQRTasks, expected: LQRTasks) -> None:
    for name, array in vars(expected).items():
        assert_array_equal(getattr(found, name), array)


@pytest.mark.parametrize("name", ["mat", "yaml", "nc", "py:arrays", "py:tasks"])
def test_every_kind_of_file_gives_the_same_tasks(name: str, folder: Path) -> None:
    expected = family(folder, path="tasks.npz")
    found = family(folder, path=f"tasks.{name}")
    assert_equal(found.tasks(2, 1, 0), expected.tasks(2, 1, 0))
    assert (found.count, found.dimensions) == (3, (2, 1))
    if name != "py:tasks":
        assert_array_equal(found.initial_gain(), ARRAYS["K0"])


def test_matlab_of_version_7_3_has_its_axes_reversed(folder: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "new.mat", "w", userblock_size=512) as file:
        for name, array in ARRAYS.items():
            file[name] = (array if array.ndim > 1 else array[:, np.newaxis]).T
    (header := bytearray(512))[:124] = b"MATLAB 7.3 MAT-file".ljust(124)
    header[124:128] = b"\x00\x02IM"
    content = (folder / "new.mat").read_bytes()
    (folder / "new.mat").write_bytes(bytes(header) + content[512:])
    assert_equal(family(folder, path="new.mat").tasks(2, 1, 0), family(folder, path="tasks.npz").tasks(2, 1, 0))


#: Without process noise, from random initial states about a mean for all tasks, or one for each.
INITIAL = {name: array for name, array in ARRAYS.items() if name != "Psi"}
INITIAL |= {"Sigma0": np.eye(2), "noise": np.array("initial_state")}
MEANS = {"one": np.array([1.0, -2.0]), "each": np.arange(6.0).reshape(3, 2)}


def written(kind: str, arrays: dict[str, Any], path: Path) -> None:
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "mat":
        savemat(path, {**arrays, "noise": str(arrays["noise"])})
    elif kind == "yaml":
        path.write_text(yaml.safe_dump({name: array.tolist() for name, array in arrays.items()}))
    elif kind == "nc":
        named = {name: ([f"{name}{axis}" for axis in range(array.ndim)], array) for name, array in arrays.items()}
        xr.Dataset(named).to_netcdf(path)
    else:  # MATLAB 7.3
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, array in arrays.items():
                if name != "noise":
                    file[name] = (array if array.ndim > 1 else array[np.newaxis]).T
                    continue
                file[name] = np.array([[ord(letter)] for letter in str(array)], dtype=np.uint16)
                file[name].attrs["MATLAB_class"] = np.bytes_("char")
        (header := bytearray(512))[:124] = b"MATLAB 7.3 MAT-file".ljust(124)
        header[124:128] = b"\x00\x02IM"
        content = path.read_bytes()
        path.write_bytes(bytes(header) + content[512:])


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("kind", ["npz", "mat", "yaml", "nc", "7.3.mat"])
def test_a_file_may_say_that_the_initial_state_alone_is_random(kind: str, mean: str, tmp_path: Path) -> None:
    written(kind, {**INITIAL, "initial_mean": MEANS[mean]}, tmp_path / f"tasks.{kind}")
    tasks = family(tmp_path, path=f"tasks.{kind}").tasks(2, 1, 0)
    assert tasks.noise == "initial_state"
    assert_array_equal(tasks.initial_mean, np.broadcast_to(MEANS[mean], (3, 2)))
    assert_array_equal(tasks.Sigma0, [np.eye(2)] * 3)
    assert not tasks.Psi.any()


def test_the_config_may_say_it_too(folder: Path) -> None:
    arrays = {name: array for name, array in INITIAL.items() if name not in ("noise", "Sigma0")}
    np.savez(folder / "bare.npz", **arrays)  # type: ignore[arg-type]
    tasks = family(folder, path="bare.npz", noise="initial_state", noise_variance=0.25).tasks(2, 1, 0)
    assert_array_equal(tasks.excitation, [0.25 * np.eye(2)] * 3)
    one_plant = {**INITIAL, "A": ARRAYS["A"][0], "B": ARRAYS["B"][0], "initial_mean": MEANS["each"]}
    np.savez(folder / "plant.npz", **one_plant)
    assert_array_equal(family(folder, path="plant.npz").tasks(2, 1, 0).initial_mean, MEANS["each"])
    with pytest.raises(SettingsError, match="returns tasks; remove sample_time, discretisation, noise and noise_var"):
        family(folder, path="tasks.py:tasks", noise="initial_state")


def test_matlab_of_version_7_3_without_h5py_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    header = bytearray(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    (folder / "new.mat").write_bytes(bytes(header) + bytes(384))
    with pytest.raises(SettingsError, match=r"new\.mat: a MATLAB file of version 7\.3, which needs h5py; install it"):
        family(folder, path="new.mat")


def config(content: str, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "tasks.yaml").write_text(content)
    tasks = {"family": "file", "path": "tasks.yaml", **settings}
    mine = {"tasks": tasks, "initial_gain": "zero", "algorithm": {"learning_rate": 1e-3, "adaptation_rate": 1e-5}}
    default = read_config(ROOT / "config.yaml")
    figure1 = {**default["experiments"]["figure1"], "cases": ["mine"]}
    return {**default, "cases": {**default["cases"], "mine": mine}, "experiments": {"figure1": figure1}}


@pytest.mark.parametrize(("content", "settings", "message"), rows("In a file of tasks"))
def test_bad_files_of_tasks(content: str, settings: str, message: str, tmp_path: Path) -> None:
    bad = config(content, yaml.safe_load(settings), tmp_path)
    with pytest.raises(ConfigError) as caught:
        check_config(bad, tmp_path)
    (problem,) = caught.value.problems
    assert problem == message.replace("FOLDER", str(tmp_path))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "def tasks(): raise ValueError('no plant today')",
            r"its function tasks failed \(ValueError: no plant today\)",
        ),
        ("def tasks(): print('hello'); return {}", "tasks prints 'hello'; remove the print, or use the module logging"),
        ("def tasks(): return 3", "tasks returns int, not LQRTasks or a mapping of arrays by name; return one"),
        ("def task(): return {}", "there is no function tasks; correct its name in the path"),
        ("syntax error", r"its function tasks failed \(SyntaxError: "),
    ],
)
def test_bad_functions_of_tasks(program: str, message: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "tasks.py").write_text(program)
    with pytest.raises(SettingsError, match=rf"path: {tmp_path}/tasks\.py: {message}"):
        family(tmp_path, path="tasks.py:tasks")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "none.npz",
            "FOLDER/none.npz: there is no such file; correct the path, which is relative to the folder of the",
        ),
        ("../tasks.npz", "'../tasks.npz' leaves the folder of the config; move the file there, or write "),
        (
            "tasks.csv",
            "FOLDER/tasks.csv: no file of tasks ends in '.csv'; use one of .npz, .mat, .nc, .yaml, .yml, .py",
        ),
        ("tasks.py", "FOLDER/tasks.py: name the function that makes the tasks, as in tasks.py:tasks"),
        ("damaged.npz", "FOLDER/damaged.npz: not what numpy.savez writes; save the arrays by name, numpy.savez(file, "),
        ("damaged.mat", "FOLDER/damaged.mat: it cannot be read (ValueError: Unknown mat file type, version "),
    ],
)
def test_bad_paths_of_tasks(path: str, message: str, folder: Path) -> None:
    for name in ("tasks.csv", "damaged.npz", "damaged.mat"):
        (folder / name).write_text("nothing of that kind, but long enough for a header of any kind" * 9)
    with pytest.raises(SettingsError) as caught:
        family(folder, path=path)
    assert str(caught.value).startswith("path: " + message.replace("FOLDER", str(folder)))


def test_an_absolute_path_may_lead_anywhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert family(elsewhere, path=str(folder / "tasks.npz")).count == 3


def test_content_counts_for_reruns_and_neither_time_nor_place(folder: Path, tmp_path_factory: Any) -> None:
    def digest(where: Path) -> str:
        given = config(content, {}, where)
        plan = Plan(given, where)
        return str(plan.task_block(type("Wildcards", (), {"case": "mine"}))["digest"])

    content = (folder / "tasks.yaml").read_text()
    first = digest(folder)
    assert digest(tmp_path_factory.mktemp("copy")) == first
    content += "# a comment\n"
    assert digest(folder) != first
    assert source.digest(folder / "tasks.npz") not in (first, "")


def test_paths_are_relative_to_the_config_that_names_one(folder: Path, tmp_path_factory: Any) -> None:
    (folder / "mine.yaml").write_text("cases: {mine: {tasks: {family: file, path: tasks.npz}}}\n")
    overlay = tmp_path_factory.mktemp("other") / "other.yaml"
    overlay.write_text("algorithm: {iterations: 3}\n")
    assert read_configs([ROOT / "config.yaml", folder / "mine.yaml", overlay])[1] == folder.resolve()


def test_dimensions_that_the_config_gives_are_checked(folder: Path) -> None:
    found = list(family(folder, path="tasks.npz").problems(2, 2))
    assert found == [
        (
            "path",
            "tasks.npz has state_dim 2 and action_dim 1, and the case 2 and 2; remove these, or choose another file",
        )
    ]


@pytest.mark.slow
def test_planning_of_a_file_needs_no_compiler(folder: Path) -> None:
    """A Python file is imported while Snakemake plans, which must not wait for Numba."""
    program = (
        "import sys; from metalqr.systems.file import File; "
        f"File(File.Settings(path={str(folder / 'tasks.npz')!r})); assert not {{'numba', 'xarray'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
