"""docs/tutorial.md from its first to its last command, as a reader runs it, with what the page says that they print."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import blocks, text_of
from project import Project, environment

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def steps() -> Iterator[tuple[str, str, str]]:
    """The language and the text of each block, and what the page says that it prints: the block ``text`` after it."""
    found = blocks("docs/tutorial.md")
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language != "text":
            yield block.language, block.text, after.text if after and after.language == "text" else ""


def carried_out(language: str, block: str, project: Project, folder: Path) -> str:
    """Run a block in the folder, and return what it prints; Snakemake's lines have times, and are left out."""
    if language == "yaml":
        found = re.match(r"# (\S+\.yaml)\n", block)
        assert found, block
        (folder / found[1]).write_text(block, encoding="utf-8")
        return ""
    if language == "python":
        return printed([sys.executable, "-c", block], folder)
    assert language == "sh"
    program, *arguments = block.split()
    if program.endswith("metalqr"):
        return printed([sys.executable, "-c", "from metalqr.cli import main; main()", *arguments], folder)
    assert program == ".venv/bin/snakemake"
    given = arguments[: arguments.index("--cores")]
    wanted = ["--cores", "2", "--logger", "metalqr", "--configfile", "motor.yaml", "--directory", "motor"]
    assert arguments[len(given) :] == wanted
    project.snakemake(*given, "--cores", "2")
    return ""


def printed(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


# It takes half a minute: it is the one pipeline that is run at the numbers of a page.
@pytest.mark.slow
def test_the_tutorial_prints_what_it_says(fresh: Project, tmp_path: Path) -> None:
    project = Project(fresh.root, tmp_path / "motor", [tmp_path / "motor.yaml"])
    compared = 0
    for language, block, said in steps():
        found = carried_out(language, block, project, tmp_path)
        assert words(found) == words(said), block
        # Another processor may round otherwise; learning carries that on.
        assert numbers(found) == pytest.approx(numbers(said), rel=0.02, abs=1e-3), block
        compared += bool(said)
    assert compared == 6
    shown = set(re.findall(r"\(figures/tutorial/(\w+)\.png\)", text_of("docs/tutorial.md"))) - {"page"}
    assert shown == {"motor", "adaptation"}
    made = project.directory / "results"
    assert all((made / "figures" / f"{name}.png").is_file() for name in shown)
    assert (made / "page.html").is_file()
