"""docs/own-tasks.md from its first to its last command, as a reader runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks
from project import Project, environment


@pytest.mark.slow
def test_every_command_of_the_page_works(fresh: Project, tmp_path: Path) -> None:
    project = Project(fresh.root, tmp_path / "made", [tmp_path / "mine.yaml"])
    commands = 0
    for each in blocks("docs/own-tasks.md"):
        language, block = each.language, each.text
        if language == "yaml":
            (tmp_path / "mine.yaml").write_text(block, encoding="utf-8")
        elif language == "python":
            run([sys.executable, "-c", block], tmp_path)
            commands += 1
        else:
            assert language == "sh"
            program, *arguments = block.split()
            if program.endswith("snakemake"):
                given = arguments[: arguments.index("--configfile")]
                assert arguments[len(given) :] == ["--configfile", "mine.yaml", "--directory", "made"]
                project.snakemake(*given)
            else:
                assert program == ".venv/bin/metalqr"
                printed = run([sys.executable, "-c", "from metalqr.cli import main; main()", *arguments], tmp_path)
                assert printed.endswith("The config can be used.\n")
            commands += 1
    assert commands == 5
    table = (tmp_path / "made" / "results" / "tables" / "springs.md").read_text(encoding="utf-8")
    assert "springs" in table


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
