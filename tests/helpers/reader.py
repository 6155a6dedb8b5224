"""A clone as a reader of the documentation has it, with the files that its pages name."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pages import Command, blocks
from places import ROOT, TINY
from project import copy_sources, environment


def copy_all(clone: Path) -> None:
    """Copy the project with its configs and examples, and make `mine.yaml` for pages that have none of that name."""
    copy_sources(clone)
    for name in ("config", "examples"):
        shutil.copytree(ROOT / name, clone / name)
    for copy in (clone / TINY.relative_to(ROOT), clone / "mine.yaml"):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TINY, copy)


def folder_of(page: str, clone: Path) -> Path:
    """Where the clone has the files of a page, beside those of the examples: several pages may have the same names."""
    folder = clone / "pages" / Path(page).with_suffix("")
    if not folder.exists():
        shutil.copytree(ROOT / "examples", folder)
        for block in blocks(page):
            if block.name:
                (folder / Path(block.name).name).write_text(block.text, encoding="utf-8")
    return folder


def in_clone(clone: Path, command: Command) -> Command:
    """The command with the paths that files of its page have in the clone."""
    page = command.block.page
    own = {block.name for block in blocks(page)}
    paths = {word: folder_of(page, clone) / Path(word).name for word in command.words if word in own}
    return replace(
        command, words=tuple(str(paths[word].relative_to(clone)) if word in paths else word for word in command.words)
    )


def run(arguments: list[str], folder: Path, place: str, given: str = "") -> str:
    """Run Python in a folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{place}: {done.stdout[-1000:]}{done.stderr}"
    return done.stdout
