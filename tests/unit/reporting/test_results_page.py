"""results/README.md and docs/results.md: every file that the pipeline makes is there, as the code has it."""

import pkgutil
import re
from pathlib import Path

import pytest
from places import ROOT

from metalqr.config.schema import with_tables
from metalqr.reporting.result_files import FILES, ResultFile
from metalqr.reporting.results_page import OVERVIEW, PAGE, overview, parts

#: Other forms of a file of the list, which says so in its contents.
FORMS = {".svg": ".pdf", ".png": ".pdf", ".csv": ".md"}
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
DATASETS = [each for each in FILES if each.layout]


def outputs(rules: str) -> set[str]:
    """The files under results/ that rules make."""
    blocks = re.findall(r"^    output:\n((?: {8}.*\n)+)", rules, re.MULTILINE)
    return {path for block in blocks for path in re.findall(r'"results/([^"]+)"', block)}


def test_the_pages_are_up_to_date() -> None:
    for page, generated in ((OVERVIEW, {"the files": overview()}), (PAGE, parts())):
        text = page.read_text(encoding="utf-8")
        assert with_tables(text, generated) == text, f"{page.name}: run `make schema`"


def test_every_file_that_a_rule_makes_is_listed() -> None:
    made = set().union(*(outputs(path.read_text(encoding="utf-8")) for path in RULES))
    assert len(made) > 20
    listed = {each.path: each.contents for each in FILES}
    for path in made:
        form = Path(path).suffix
        main = path.removesuffix(form) + FORMS.get(form, form)
        assert main in listed, f"{path} is made by a rule, and not in result_files.py"
        assert main == path or f"`{form}`" in listed[main], path


@pytest.mark.parametrize("file", DATASETS, ids=lambda each: each.path)
def test_what_reads_a_dataset_exists(file: ResultFile) -> None:
    module, _, name = file.reader.rpartition(".")
    assert callable(pkgutil.resolve_name(f"{module}:{name}"))
