"""Settings and plug-ins that come, change and go: what of a finished project is made again."""

import re
import shutil
from pathlib import Path

import pytest
from places import ROOT
from project import Project

pytestmark = pytest.mark.slow

MINE = """
plugins: [my_estimators.py]
experiments:
  figure1: {cases: [d1k1], seeds: [0]}
  mine:
    cases: [d1k1]
    seeds: [0, 1]
    variants: {paper: {}, clipped: {estimator: clipped, clip: 100.0}, reptile: {method: reptile}}
    sweep: {"tasks.perturbation_deviation": [0.1, 0.2]}
  perturbations: null
  learning_rate: null
"""


def own_copy(project: Project, folder: Path) -> Project:
    """A copy whose sources and results may change."""
    shutil.copytree(project.root, folder / "project")
    shutil.copytree(project.directory, folder / "made")
    return Project(folder / "project", folder / "made", project.configs)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_new_setting_with_a_default_makes_no_run_again(finished: Project, tmp_path: Path) -> None:
    """Datasets are gathered again: they say all settings."""
    project = own_copy(finished, tmp_path)
    assert project.planned() == {}
    edit(
        project.root / "src/metalqr/config/algorithm.py",
        "    precision: Precision = setting(",
        '    patience: Count = setting(3, label="patience", about="of a saint")\n    precision: Precision = setting(',
    )
    assert set(project.planned()) == {"collect_dataset", "draw", "tabulate"}
    project.snakemake("results/datasets/figure1.nc", "--cores", "1")


def test_a_run_of_an_older_default_is_refused(finished: Project, tmp_path: Path) -> None:
    project = own_copy(finished, tmp_path).overlay("algorithm: {tolerance: null}\n")
    assert project.planned() == {}, "it is the default"
    algorithm = project.root / "src/metalqr/config/algorithm.py"
    edit(algorithm, "tolerance: Real = setting(\n        0.0,", "tolerance: Real = setting(\n        1.0e-9,")
    assert "train_policy" not in project.planned()
    printed = project.snakemake("results/datasets/figure1.nc", "--cores", "1", succeeds=False)
    assert (
        "it was run with tolerance: 0.0, but tolerance: 1e-09 is wanted, since the default has changed; "
        "delete it and run the stage again"
    ) in printed


# --- plug-ins --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An experiment with an estimator of one's own, as docs/configuration.md has it, and another method."""
    folder = tmp_path_factory.mktemp("plugins")
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (folder / "my_estimators.py").write_text(*re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    (folder / "mine.yaml").write_text(MINE)
    project = Project(fresh.root, folder / "made", [*fresh.configs, folder / "mine.yaml"])
    project.snakemake("results/datasets/mine.nc", "--cores", "2")
    return project


def runs(project: Project) -> list[str]:
    """The runs that a dry run would start, by case and configuration."""
    planned = project.planned("results/datasets/mine.nc")
    assert set(planned) <= {"train_policy", "collect_dataset"}
    return sorted({"/".join(path.split("/")[2:4]) for path in planned.get("train_policy", [])})


def test_nothing_after_a_finished_run(made: Project) -> None:
    assert made.planned("results/datasets/mine.nc") == {}
    folders = list((made.directory / "results/runs").glob("*/*"))
    assert len(folders) == 6
    assert len({path.name for path in folders}) == 3, "of each set of tasks the same configurations"


def test_an_edited_plugin_makes_its_own_runs_again(made: Project) -> None:
    path = made.configs[-1].with_name("my_estimators.py")
    before = path.read_text()
    try:
        path.write_text(before + "# edited\n")
        found = runs(made)
    finally:
        path.write_text(before)
    assert len(found) == 2
    assert len({name.split("/")[1] for name in found}) == 1


def test_an_edited_method_makes_its_own_runs_again(made: Project) -> None:
    with made.edited("src/metalqr/training/methods/reptile.py"):
        reptile = runs(made)
    with made.edited("src/metalqr/training/methods/zeroth_order_maml.py"):
        others = runs(made)
    assert len(reptile) == 2
    assert len(others) == 4
    assert not set(reptile) & set(others)


def test_a_job_of_another_snakemake_finds_plugins_and_defaults(made: Project, tmp_path: Path) -> None:
    """As on a cluster, where each job reads the config anew; the time between two saves is a default here."""
    project = Project(made.root, tmp_path / "made", made.configs).overlay("execution: {checkpoint_seconds: null}\n")
    wrapper = tmp_path / "submit.sh"
    wrapper.write_text('#!/bin/sh\nsh "$@" > /dev/null 2>&1\necho 1\n')
    wrapper.chmod(0o755)
    status = tmp_path / "status.sh"
    status.write_text("#!/bin/sh\necho success\n")
    status.chmod(0o755)
    project.snakemake(
        "results/datasets/mine.nc",
        *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(wrapper)),
        *("--cluster-generic-status-cmd", str(status), "--jobs", "2", "--seconds-between-status-checks", "1"),
    )
    assert (project.directory / "results/datasets/mine.nc").exists()
