"""`make .venv` wherever it is called: other settings of pip, other libraries in the environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from functools import partial
from pathlib import Path

import pytest
from places import ROOT

PLACES = {"user": "true", "target": "elsewhere", "prefix": "elsewhere", "root": "elsewhere"}
#: What the recipe of .venv does for each package.
INSTALL = "one: ; @$(PIP_INSTALL) --no-index --quiet tiny-1-py3-none-any.whl && echo PYTHONPATH=$$PYTHONPATH"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile, a .venv, and a wheel; shells treat its name specially."""
    folder = tmp_path / "it's $HOME"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    # This Python's pip, so that none has to be installed.
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")}))
    (libraries / "pip").symlink_to(Path(sysconfig.get_path("purelib")) / "pip")
    (libraries / "__editable__.metalqr.pth").write_text(str(ROOT / "src"))
    shutil.copy2(ROOT / "Makefile", folder)
    with zipfile.ZipFile(folder / "tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("place", [*PLACES, "pip.conf"])
def test_libraries_go_into_venv_whatever_pip_is_told(place: str, clone: Path) -> None:
    if place == "pip.conf":
        lines = [f"{name} = {value}" for name, value in PLACES.items()]
        (clone / "pip.conf").write_text("\n".join(["[install]", *lines]))
        told = {"PIP_CONFIG_FILE": str(clone / "pip.conf")}
    else:
        told = {f"PIP_{place.upper()}": PLACES[place]}
    environment = {**os.environ, **told, "PYTHONPATH": str(clone / "module")}
    command = ["make", "--no-print-directory", "--eval", INSTALL, "one"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "PYTHONPATH=\n", "")
    assert list((clone / ".venv").rglob("tiny.py"))
    assert not (clone / "elsewhere").exists()


@pytest.mark.slow
def test_libraries_on_pythonpath_replace_none_that_are_installed(clone: Path) -> None:
    run = partial(subprocess.run, cwd=clone, capture_output=True, text=True, check=True)
    run(["make", "--no-print-directory", "--eval", INSTALL, "one"])
    for stamp in (".installed", ".installed-metalqr"):
        (clone / ".venv" / stamp).touch()
    module = clone / "module"
    module.mkdir()
    for name in ("tiny", "mine"):
        (module / f"{name}.py").touch()
    program = "import tiny, mine; print(tiny.__file__, mine.__file__, sep='\\n')"
    command = [clone / ".venv/bin/python", "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(module)}
    assert run(command, env=environment).stdout.splitlines() == [f"{module}/tiny.py", f"{module}/mine.py"]
    run(["make", "--old-file=requirements.lock", "--old-file=pyproject.toml", ".venv"])
    tiny, mine = run(command, env=environment).stdout.splitlines()
    assert Path(tiny).is_relative_to(clone / ".venv")
    assert mine == f"{module}/mine.py"
