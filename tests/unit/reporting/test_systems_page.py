import re

import pytest
import yaml
from configs import overlaid
from pages import texts
from places import ROOT

from metalqr.config import Plan
from metalqr.config.schema import with_tables
from metalqr.reporting.systems_page import PAGE, parts
from metalqr.systems import names

PAGE_TEXT = PAGE.read_text(encoding="utf-8")
RUNS_OF_EXAMPLES = {"bus": 3, "heterogeneity": 9, "pendulums": 3}


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    assert with_tables(PAGE_TEXT, parts()) == PAGE_TEXT, "run `make schema`"


def test_every_system_has_a_row_and_a_section() -> None:
    for name in names():
        assert f"| [{name}](#{name}) |" in PAGE_TEXT
        assert f"\n### {name}\n" in PAGE_TEXT


def test_the_examples_are_accepted() -> None:
    found: dict[str, int] = {}
    for example in texts("docs/systems.md", "yaml"):
        plan = Plan(overlaid(example))
        found |= {name: len(plan.run_files(name)) for name in yaml.safe_load(example)["experiments"]}
    assert found == RUNS_OF_EXAMPLES
    plan = Plan(overlaid((ROOT / "examples" / "systems.yaml").read_text(encoding="utf-8")))
    assert {name: len(plan.run_files(name)) for name in plan.experiments} == {"systems": 12, "heterogeneity": 6}


@pytest.mark.parametrize("name", ["bus", "ship"])
def test_equations_are_those_of_the_docstring(name: str) -> None:
    section = PAGE_TEXT.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    (equation,) = re.findall(r"\$\$\n(.*?)\n\$\$", section, flags=re.DOTALL)
    assert equation.count("{") == equation.count("}")
    assert ("&" in equation) == equation.startswith("\\begin{aligned}")
