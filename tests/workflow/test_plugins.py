"""Plug-ins of one's own and methods: what an edit makes again."""

from pathlib import Path

import pytest
from pages import texts
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
only_experiments: [figure1, mine]
"""


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An experiment with an estimator of one's own, as docs/configuration.md has it, and another method."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "my_estimators.py").write_text(*texts("docs/configuration.md", "python"))
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


def runs_of_an_edited_plugin(project: Project) -> list[str]:
    path = project.configs[-1].with_name("my_estimators.py")
    before = path.read_text()
    try:
        path.write_text(before + "# edited\n")
        return runs(project)
    finally:
        path.write_text(before)


def test_an_edited_plugin_makes_its_own_runs_again(made: Project) -> None:
    found = runs_of_an_edited_plugin(made)
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
    run = f"results/runs/{runs_of_an_edited_plugin(made)[0]}/seed-0.nc"
    project.snakemake(
        run,
        *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(wrapper)),
        *("--cluster-generic-status-cmd", str(status), "--jobs", "2", "--seconds-between-status-checks", "1"),
    )
    assert (project.directory / run).exists()
