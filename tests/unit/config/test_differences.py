"""How an overlay differs from the config underneath, and the overlay of `make quick`."""

import copy
import json

import pytest
import yaml
from configs import DEFAULT, overlaid
from places import ROOT

from metalqr.config import Plan
from metalqr.config.differences import Difference, differences, told

QUICK = ROOT / "config" / "quick.yaml"


def test_equal_configs_differ_in_nothing() -> None:
    assert differences(DEFAULT, copy.deepcopy(DEFAULT)) == []


def test_what_only_one_config_has_is_named_as_a_whole() -> None:
    before = {"cases": {"old": {"seed": 1}}, "algorithm": {"rate": 0.5}}
    after = {"cases": {"old": None, "new": {"seed": 2}}, "algorithm": {"rate": 0.5, "length": [1, 2]}}
    assert differences(before, after) == [
        Difference("cases.old", "given", "left out"),
        Difference("cases.new", "not given", "given"),
        Difference("algorithm.length", "not given", "[1, 2]"),
    ]


def test_settings_are_joined_only_where_they_change_alike_in_one_level() -> None:
    before = {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 1}, "c": {"x": 1, "y": 3}}
    after = {"a": {"x": 2, "y": 2}, "b": {"x": 2, "y": 1}, "c": {"x": 2, "y": 2}}
    found = {change.key: (change.before, change.after) for change in differences(before, after)}
    assert found == {"a.{x, y}": ("1", "2"), "{b, c}.x": ("1", "2"), "c.y": ("3", "2")}


def test_the_differences_make_one_config_of_the_other() -> None:
    """Every changed value of the overlay is among them, and nothing else."""
    overlay = yaml.safe_load(QUICK.read_text(encoding="utf-8"))
    changed = overlaid(overlay)
    again = json.loads(json.dumps(DEFAULT))  # in which no two settings are one object
    for key, before, after in differences(DEFAULT, changed):
        for path in _expanded(key):
            *parents, last = path
            block, here = again, changed
            for name in parents:
                block, here = block[name], here[name]
            assert after == "left out" or yaml.safe_load(after) == here[last]
            assert before == "given" or yaml.safe_load(before) == block[last]
            block[last] = here[last]
    assert again == changed


def _expanded(key: str) -> list[list[str]]:
    """The paths behind a key, of which one level may have several names."""
    head, brace, rest = key.partition("{")
    if not brace:
        return [key.split(".")]
    names, _, tail = rest.partition("}")
    return [f"{head}{name}{tail}".split(".") for name in names.split(", ")]


@pytest.mark.parametrize(
    "overlay", ["execution: {threads: 2}", "algorithm: {tolerance: null}", "algorithm: {tolerance: 0.0}"]
)
def test_what_changes_no_number_is_no_difference(overlay: str) -> None:
    assert differences(DEFAULT, overlaid(overlay)) == []


def test_a_default_that_is_changed_is_a_difference() -> None:
    assert differences(DEFAULT, overlaid("algorithm: {tolerance: 0.5}")) == [("algorithm.tolerance", "0.0", "0.5")]


def test_lines_fit_the_terminal_and_shorten_lists() -> None:
    changes = differences(DEFAULT, overlaid(QUICK.read_text(encoding="utf-8")))
    lines = told(changes, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "  algorithm.iterations: 300, not 1200" in lines
    assert "  experiments.{figure1, unseen_tasks}.seeds: [0], not [0, 1, 2, 3, 4]" in lines
    assert "  experiments.estimators.cases: [d2k2], not 3 values" in lines


@pytest.mark.slow
def test_the_quick_config_has_every_figure_table_and_section_of_the_default_but_for_cases() -> None:
    """So that a newcomer sees all of it."""
    whole, small = Plan(DEFAULT), Plan(overlaid(QUICK.read_text(encoding="utf-8")))
    left_out = set(whole.cases) - set(small.cases)
    for kind in ("figures", "tables", "sections"):
        missing = set(getattr(whole, kind).by_name) - set(getattr(small, kind).by_name)
        assert all(name.rpartition("-")[2] in left_out for name in missing), missing
    assert not list(small.warnings)
