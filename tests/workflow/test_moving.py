"""Results in another folder, as docs/moving.md says."""

import shutil
import subprocess
from pathlib import Path

import pytest
from project import Project, elsewhere

pytestmark = pytest.mark.slow


def test_results_and_records_with_their_times_run_nothing_again(finished: Project, tmp_path: Path) -> None:
    other = elsewhere(finished, tmp_path)
    other.directory.mkdir()
    archive = str(tmp_path / "moved.tar")
    pack = ["tar", "-cf", archive, "-C", str(finished.directory), "results", ".snakemake/metadata"]
    for command in (pack, ["tar", "-xf", archive, "-C", str(other.directory)]):
        subprocess.run(command, check=True)
    printed = other.snakemake("--dry-run")
    assert "Nothing to be done" in printed
    assert "missing provenance" not in printed


def test_results_alone_with_new_times_run_nothing_again_once_touched(finished: Project, tmp_path: Path) -> None:
    other = elsewhere(finished, tmp_path)
    source = finished.directory / "results"
    # Inputs newer than what was made from them, as any order of copying may leave them.
    for path in sorted(source.rglob("*"), reverse=True):
        if path.is_file():
            copy = other.directory / "results" / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    assert "train_policy" in other.planned()
    before = other.results()["figures/figure1.pdf"].read_bytes()
    other.snakemake("--cores", "1", "--touch")
    assert other.planned() == {}
    assert other.results()["figures/figure1.pdf"].read_bytes() == before
