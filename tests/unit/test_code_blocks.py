"""Every block of code of the documentation runs, here or in the test of its page; a new one that nothing runs fails."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pages import Block, Command, bare, blocks, commands, pages, parsed, text_of
from places import ROOT
from project import Project
from reader import copy_all, folder_of, in_clone, run

#: The blocks of a page that another test runs, by their languages. It fails where the page has one more.
RUN_BY = {
    ("docs/ask-tell.md", "yaml sh python"): "tests/unit/exchange/test_page.py",
    ("docs/configuration.md", "yaml python"): "tests/unit/config/test_config.py",
    ("docs/module.md", "python"): "tests/workflow/test_module.py",
    ("docs/own-tasks.md", "yaml sh python"): "tests/workflow/test_own_tasks.py",
    ("docs/systems.md", "yaml"): "tests/unit/reporting/test_systems_page.py",
    ("docs/tutorial.md", "yaml sh python text"): "tests/workflow/test_tutorial.py",
}
#: The files that fragments of Python are taken from.
SOURCES = {
    "docs/extending.md": (
        "src/metalqr/config/algorithm.py",
        "src/metalqr/estimators/two_point.py",
        "src/metalqr/systems/plants/bus.py",
        "tests/unit/estimators/test_covariance.py",
    ),
    "docs/own-simulator.md": ("examples/own_step.py",),
}
#: How commands begin that cannot run here, and why.
NOT_RUN = {
    "git clone <address": "the repository has no address yet",
    "cd metalqr": "into that clone",
    "source .venv/bin/activate": "changes the shell of the reader",
    ".venv/bin/pip install": "changes the environment that runs the tests",
    ".venv/bin/pre-commit install": "changes the repository",
    "python -m pip install": "installs the lock, as `make .venv` does; test_distribution.py installs without network",
    "pip install": "installs a wheel from dist/; test_distribution.py makes and installs one",
    "conda ": "is not installed",
    "for file in envs/*.yaml; do conda": "is not installed",
    "conda-lock ": "is not installed",
    "snakedeploy ": "is not installed",
    "rsync ": "needs another machine; tests/workflow/test_moving.py moves results",
    "tar ": "needs results; tests/workflow/test_moving.py moves them",
    "tmux ": "is for a terminal",
    "scancel ": "needs Slurm; tests/cluster/test_slurm.py runs it",
}
#: Languages of which nothing runs here.
NOT_READ = {"matlab": "MATLAB is not installed"}
#: Options of Snakemake with which a command is only read.
ONLY_READ = {
    "--sdm": "needs conda",
    "--report": "needs results; the tests of the workflow make a report",
    "--touch": "needs results; tests/workflow/test_moving.py touches them",
}
PROGRAMS = ("make", "snakemake", "metalqr", "python")

#: Calls of the command `metalqr` one after the other in one process, which must not be this one: plug-ins stay in it.
#: The search of `advise` takes ten seconds, and the tutorial has it: here it ends with the case that it is for.
CALLS = """
import json, sys
import metalqr.advice.command
from metalqr.cli import main
metalqr.advice.command.advised = lambda plan, case, budget, **options: [str(plan.checked.cases[case])]
for arguments in json.loads(sys.argv[1]):
    print("$ metalqr", *arguments, flush=True)
    if main(arguments):
        sys.exit(1)
"""


def here() -> list[Block]:
    """The blocks that no other test runs."""
    others = {(page, language) for page, languages in RUN_BY for language in languages.split()}
    return [block for page in pages() for block in blocks(page) if (block.page, block.language) not in others]


def shell(*programs: str) -> list[Command]:
    """The commands of some programs; by default of all, those that cannot run included."""
    found = [command for block in here() if block.language == "sh" for command in commands(block)]
    return [each for each in found if not programs or (can_run(each) and each.program in programs)]


def can_run(command: Command) -> bool:
    return not command.text.startswith(tuple(NOT_RUN))


def check_kind(block: Block) -> None:
    """That one of the tests below takes the block, whatever it then finds."""
    if block.language == "sh":
        for command in commands(block):
            known = not can_run(command) or command.program in PROGRAMS
            assert known, f"{block.place}: no test knows how to run `{command.text}`"
    else:
        known = block.language in ("python", "yaml", *NOT_READ)
        assert known, f"{block.place}: no test runs blocks of {block.language or 'no language'}"


def is_doctest(block: Block) -> bool:
    return block.text.startswith(">>> ")


def is_fragment(block: Block) -> bool:
    return any(bare(block.text) in bare(text_of(source)) for source in SOURCES.get(block.page, ()))


# --- what runs where ---


def test_every_block_has_a_test_that_runs_it() -> None:
    found = here()
    assert len(found) > 20
    for block in found:
        check_kind(block)


@pytest.mark.parametrize(
    "block", ["```sh\nmetlaqr check mine.yaml\n```", "```json\n{}\n```", "- a list\n\n  ```\n  ls\n  ```"]
)
def test_a_block_that_nothing_runs_is_named(block: str) -> None:
    (found,) = parsed("docs/new.md", f"# New\n\n{block}\n")
    with pytest.raises(AssertionError, match=r"docs/new\.md:[35]: no test "):
        check_kind(found)


def test_no_fence_is_missed() -> None:
    for page in pages():
        assert 2 * len(blocks(page)) == len(re.findall(r"^\s*(?:```|~~~)", text_of(page), re.MULTILINE)), page


@pytest.mark.parametrize(("page", "languages"), RUN_BY)
def test_the_other_tests_read_their_pages(page: str, languages: str) -> None:
    source = text_of(RUN_BY[page, languages])
    assert set(languages.split()) <= {block.language for block in blocks(page)}
    if f'blocks("{page}")' not in source:
        for language in languages.split():
            assert f'texts("{page}", "{language}")' in source


def test_no_reason_is_left_over() -> None:
    found = shell()
    for start in NOT_RUN:
        assert any(command.text.startswith(start) for command in found), start
    for option in ONLY_READ:
        assert any(option in command.words for command in found), option
    for language in NOT_READ:
        assert any(block.language == language for block in here()), language
    for page, sources in SOURCES.items():
        fragments = [bare(block.text) for block in blocks(page) if block.language == "python" and not is_doctest(block)]
        for source in sources:
            assert any(fragment in bare(text_of(source)) for fragment in fragments), source


def test_pages_with_doctests_are_those_that_pytest_collects() -> None:
    options = tomllib.loads(text_of("pyproject.toml"))["tool"]["pytest"]["ini_options"]["addopts"]
    collected = {f"docs/{option.partition('=')[2]}" for option in options if option.startswith("--doctest-glob=")}
    assert collected == {page for page in pages() if re.search(r"^\s*>>> ", text_of(page), re.MULTILINE)}


# --- make ---


def would_make(words: tuple[str, ...]) -> bool:
    """Whether `make help` lists the targets and a dry run of them succeeds."""
    targets = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    return targets <= set(re.findall(r"^  make (\S+)", listed, re.MULTILINE)) and done.returncode == 0


def test_targets_of_make_exist() -> None:
    found = {command.words: command for command in shell("make")}
    assert len(found) > 3
    for words, command in found.items():
        assert would_make(words), f"{command.block.place}: {command.text}"
    assert not would_make(("make", "docs/using.md"))  # a file, but no target


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader") / "clone"
    copy_all(folder)
    return folder


# --- metalqr, and the configs that it checks ---


def configs(clone: Path) -> Iterator[tuple[Path, str]]:
    """The configs of the pages and those that their commands write, as files of the clone, with the text of each."""
    for block in here():
        if block.language == "yaml":
            path = folder_of(block.page, clone) / f"block-{block.line}.yaml"
            path.write_text(block.text, encoding="utf-8")
            yield path, block.text
    for command in shell("python"):
        printed = run(list(command.words[1:]), clone, command.block.place, command.input)
        if command.output and command.output.endswith(".yaml"):
            (clone / command.output).write_text(printed, encoding="utf-8")
            yield clone / command.output, printed


@pytest.mark.slow  # one of the configs has ten thousand runs, and one of the commands trains
def test_commands_of_metalqr_run_and_configs_are_accepted(clone: Path) -> None:
    found = {str(path.relative_to(clone)): text for path, text in configs(clone)}
    called = [list(in_clone(clone, command).words[1:]) for command in shell("metalqr")]
    calls = [*(["check", name] for name in found), *called]
    printed = run(["-c", CALLS, json.dumps(calls)], clone, "a block of the pages")
    parts = printed.removeprefix("$ metalqr ").split("\n$ metalqr ")
    assert len(parts) == len(calls)
    for (name, text), part in zip(found.items(), parts, strict=False):
        assert part.startswith(f"check {name}\n")
        for experiment, block in (yaml.safe_load(text).get("experiments") or {}).items():
            assert block is None or re.search(rf"^experiment {experiment}: [1-9]\d* runs?$", part, re.MULTILINE), part


# --- Snakemake ---


def read(command: Command) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """The profiles, the configs and the targets of a command, as Snakemake reads its arguments in this folder."""
    from snakemake.cli import parse_args

    try:
        _, given = parse_args(list(command.words[1:]))
    except SystemExit:
        pytest.fail(f"{command.block.place}: Snakemake cannot read `{command.text}`")
    known = given.cores is not None or given.jobs is not None or given.report is not None
    assert known, f"{command.block.place}: `{command.text}` does not say how many cores"
    return tuple(given.profile or ()), tuple(str(path) for path in given.configfile or ()), sorted(given.targets)


@pytest.mark.slow  # starts Snakemake once for each profile and set of configs
def test_commands_of_snakemake_would_run(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    targets: dict[tuple[tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for command in shell("snakemake"):
        profiles, overlays, asked = read(in_clone(clone, command))
        if not ONLY_READ.keys() & set(command.words):
            targets.setdefault((profiles, overlays), set()).update(asked or ["all"])
    assert len(targets) > 3
    for (profiles, overlays), named in targets.items():
        # A profile is the same for any config: a small one is planned sooner.
        files = [clone / name for name in overlays or ("mine.yaml" if profiles else "config.yaml",)]
        project = Project(clone, tmp_path / "made", files)
        options = ["--profile", *(str(clone / profile) for profile in profiles)] if profiles else ["--cores", "1"]
        printed = project.snakemake(*sorted(named), "--dry-run", *options, "--quiet", "rules")
        assert re.search(r"^total +[1-9]", printed, re.MULTILINE), printed


# --- Python ---


@pytest.mark.slow  # a process for each program
def test_programs_run_and_fragments_are_those_of_the_sources(tmp_path: Path) -> None:
    """Those of one page in one folder, one after the other: a program may use what one before it has made."""
    fragments = 0
    for block in here():
        if block.language == "python" and not is_doctest(block):
            if is_fragment(block):
                fragments += 1
            else:
                run_program(block, tmp_path / Path(block.page).stem)
    assert fragments >= 5


def run_program(block: Block, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    sources = SOURCES.get(block.page, ())
    run(["-c", block.text], folder, f"{block.place} is in none of {sources} and does not run by itself")
