"""Every row of docs/bad-input.md: the messages there are the ones that a user gets."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import xarray as xr
import yaml
from bad_input import rows
from project import ROOT, TINY, Project
from snakemake.utils import update_config

from pipeline import ConfigError, check_config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("overlay", "message"), rows("In the config"))
def test_bad_config(overlay: str, message: str) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    update_config(config, yaml.safe_load(overlay))
    before = copy.deepcopy(config)
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    assert caught.value.problems == (message,)
    assert config == before


def test_terminal_shows_the_problems_of_a_config_and_no_traceback(fresh: Project, tmp_path: Path) -> None:
    other = Project(fresh.root, tmp_path, fresh.configs).overlay("seed: -1\nalgorithm: {smoothing_radius: -1}\n")
    printed = other.snakemake("--dry-run", succeeds=False)
    assert (
        "The config has 2 problems:\n  algorithm.smoothing_radius: -1 is not > 0\n  seed: -1 is not >= 0\n"
    ) in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("overlay", "message"), rows("In the tasks"))
def test_bad_tasks(overlay: str, message: str, fresh: Project, tmp_path: Path) -> None:
    other = Project(fresh.root, tmp_path, fresh.configs).overlay(overlay)
    case = re.search(r"case=(\w+)", message)[1]  # type: ignore[index]
    printed = other.snakemake(f"results/optima/{case}.nc", "--cores", "1", succeeds=False)
    assert message in printed.splitlines()
    assert "Traceback" not in printed
    log = tmp_path / re.search(r"\[traceback: (.*)\]$", message)[1]  # type: ignore[index]
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert not (tmp_path / f"results/optima/{case}.nc").exists()
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture(scope="module")
def with_tasks(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Tasks and optima of one case, the optima also kept aside: Snakemake deletes the output of a failed job."""
    project = Project(fresh.root, tmp_path_factory.mktemp("tasks"), fresh.configs)
    project.snakemake("results/optima/d1k1.nc", "--cores", "1")
    shutil.copy2(project.directory / "results/optima/d1k1.nc", project.directory / "optima.nc")
    return project


def spoil(path: Path, kind: str) -> None:
    content = path.read_bytes()
    dataset = xr.load_dataset(path)
    if kind == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "not netCDF":
        path.write_text("A = 1\n")
    elif kind == "netCDF of another program":
        xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(path)
    elif kind == "of another stage":
        path.write_bytes((path.parents[2] / "optima.nc").read_bytes())
    else:
        dataset.drop_vars("B").to_netcdf(path)


KINDS = [(row.id, row.values[0]) for row in rows("Files under `results/`")]


@pytest.mark.parametrize(("kind", "message"), KINDS, ids=[kind for kind, _ in KINDS])
def test_bad_file(kind: str, message: str, with_tasks: Project) -> None:
    path = with_tasks.directory / "results/tasks/d1k1.nc"
    good = path.read_bytes()
    try:
        spoil(path, kind)
        printed = with_tasks.snakemake(
            "results/optima/d1k1.nc", "--cores", "1", "--forcerun", "solve_optima", succeeds=False
        )
    finally:
        path.write_bytes(good)
    assert message in printed.splitlines()
    assert "Traceback" not in printed


def test_tiny_config_is_an_overlay_that_works() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    update_config(config, yaml.safe_load(TINY.read_text(encoding="utf-8")))
    assert check_config(config)
