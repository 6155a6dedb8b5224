"""The pipeline as a module of another workflow, as docs/module.md says: from a folder, and from a hosted repository."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml
from pages import texts
from places import ROOT, TINY
from project import Project

from metalqr.config import Plan
from metalqr.config.reading import lay_over, read_configs

pytestmark = pytest.mark.slow

#: Of the other workflow: a rule above the module is what it makes by default; its config stays as it is.
OTHER = """
rule all:
    input: "longest.txt"

module metalqr:
    snakefile: {snakefile}
    config: config["training"]
    prefix: "trained"

use rule * from metalqr as metalqr_*

rule longest:
    input: {run}
    output: "longest.txt"
    params: config=json.dumps(config)
    run:
        with open(output[0], "w") as file:
            file.write(params.config)
"""

#: The two workflows of the page: with a clone, and the module of one without.
OF_THE_PAGE, HOSTED = texts("docs/module.md", "python")
#: As snakedeploy writes it.
DEPLOYED = f"""
configfile: "config/config.yaml"

{HOSTED.replace('"owner/', '"nobody/')}
use rule * from metalqr
"""


def workflow(folder: Path, snakefile: str, config: dict[str, Any]) -> Project:
    """Another workflow in a folder, which is also the one that it runs in."""
    folder.mkdir()
    (folder / "Snakefile").write_text(snakefile, encoding="utf-8")
    (folder / "mine.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return Project(folder, folder, [folder / "mine.yaml"])


def tiny() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    return config


def test_another_workflow_uses_a_run_of_it(finished: Project, tmp_path: Path) -> None:
    (whole, *changes), _ = read_configs([ROOT / "config.yaml", TINY])
    for change in changes:
        lay_over(whole, change)
    run = next(file for file in Plan(whole).run_files("figure1") if "/d2k2/" in file)
    config = {"own": [1, 2], "training": tiny()}
    text = "import json\n" + OTHER.format(snakefile=repr(str(finished.root / "Snakefile")), run=repr(f"trained/{run}"))
    other = workflow(tmp_path / "other", text, config)
    printed = other.snakemake("--cores", "2")
    rules = {
        line.partition("rule ")[2].strip(":") for line in printed.splitlines() if line.startswith(("rule", "localrule"))
    }
    assert rules == {"metalqr_generate_tasks", "metalqr_train_policy", "longest", "all"}
    made = other.directory / "trained" / run
    with xr.open_dataset(made) as mine, xr.open_dataset(finished.directory / run) as expected:
        xr.testing.assert_identical(mine, expected)
    assert json.loads((other.directory / "longest.txt").read_text()) == config
    names = {path.name for path in other.directory.iterdir()}
    assert names == {".snakemake", "Snakefile", "mine.yaml", "longest.txt", "trained"}
    assert other.planned() == {}


def test_the_workflow_of_the_documentation_uses_a_dataset(finished: Project, tmp_path: Path) -> None:
    snakefile = OF_THE_PAGE.replace("/path/to/metalqr", str(finished.root))
    assert snakefile != OF_THE_PAGE
    other = workflow(tmp_path / "other", snakefile, {"training": tiny()})
    shutil.copytree(finished.directory / "results", other.directory / "trained" / "results")
    (other.directory / "costs.py").write_text(
        "import xarray as xr\n"
        "with xr.open_datatree(snakemake.input[0]) as tree, open(snakemake.output[0], 'w') as file:\n"
        "    print(*tree.children, file=file)\n"
    )
    assert other.planned() == {"costs": ["costs.txt"]}
    other.snakemake("--cores", "1")
    assert (other.directory / "costs.txt").read_text() == "d1k1 d2k2\n"


def test_its_page_is_made_from_the_results_under_a_prefix(finished: Project, tmp_path: Path) -> None:
    text = "import json\n" + OTHER.format(snakefile=repr(str(finished.root / "workflow" / "Snakefile")), run="[]")
    other = workflow(tmp_path / "other", text, {"training": tiny()})
    shutil.copytree(finished.directory / "results", other.directory / "trained" / "results")
    page = other.directory / "trained" / "results" / "page.html"
    page.unlink()
    assert other.planned("metalqr_all") == {"metalqr_page": ["trained/results/page.html"]}
    other.snakemake("metalqr_all", "--cores", "1")
    assert page.read_bytes() == (finished.directory / "results" / "page.html").read_bytes()


@pytest.fixture
def hosted(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a tag, in place of one that is hosted on the internet."""
    repository = tmp_path / "repository"
    shutil.copytree(finished.root, repository, ignore=shutil.ignore_patterns("__pycache__"))
    commit = ["-c", "user.name=nobody", "-c", "user.email=", "commit", "--quiet", "--message", "all"]
    for arguments in (["init", "--quiet"], ["add", "--all"], commit, ["tag", "v0.1.0"]):
        subprocess.run(["git", "-C", repository, *arguments], check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{repository}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/nobody/metalqr")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    return repository


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_deployed_workflow_runs_from_the_hosted_repository(finished: Project, hosted: Path, tmp_path: Path) -> None:
    other = workflow(tmp_path / "other", DEPLOYED, {})
    (other.directory / "config").mkdir()
    other.configs = [other.directory / "config" / "config.yaml"]
    other.configs[0].write_text(yaml.safe_dump(tiny(), sort_keys=False), encoding="utf-8")
    assert len(other.planned()["page"]) == 1
    other.snakemake("tasks", "--cores", "1")
    for name in ("d1k1", "d2k2"):
        file = f"results/tasks/{name}.nc"
        with xr.open_dataset(other.directory / file) as mine, xr.open_dataset(finished.directory / file) as expected:
            xr.testing.assert_identical(mine, expected)
    head = subprocess.run(["git", "-C", hosted, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    (checkout,) = (other.directory / ".snakemake" / "metalqr").iterdir()
    assert checkout.name == head.stdout.strip()
    assert (checkout / "Snakefile").read_bytes() == (finished.root / "Snakefile").read_bytes()
