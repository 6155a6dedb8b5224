"""What others read of this project without running it: files of GitHub, citations, the paper, the catalogue."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from places import ROOT

import metalqr

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
TARGETS = set(re.findall(r"^([.a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in loaded(workflow)["jobs"].values() for step in job.get("steps", [])]


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=stem)
def test_a_workflow_calls_targets_that_exist_and_actions_of_a_version(workflow: Path) -> None:
    called = [word for step in steps(workflow) for word in re.findall(r"\bmake ([.a-z-]+)", step.get("run", ""))]
    assert set(called) <= TARGETS
    uses = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action) for action in uses)
    assert called or uses
    for job in loaded(workflow)["jobs"].values():
        assert (ROOT / job.get("uses", ".")).exists()
        assert set([job["needs"]] if "needs" in job else []) <= loaded(workflow)["jobs"].keys()


def test_the_workflow_of_tests_is_that_of_ci_and_has_all_pythons_and_systems() -> None:
    jobs = loaded(ROOT / ".github" / "workflows" / "test.yml")["jobs"]
    assert [step["run"] for step in jobs["ci"]["steps"] if "run" in step] == [".ci/run"]
    assert "make test" in [step.get("run") for step in jobs["test"]["steps"]]
    matrix = jobs["test"]["strategy"]["matrix"]
    named = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    assert matrix["python"] == named
    supported = SpecifierSet(PROJECT["requires-python"])
    assert all(supported.contains(f"{python}.0") for python in named)
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_a_release_publishes_what_make_dist_made_without_a_token() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["needs"] == "dist"
    assert jobs["dist"]["needs"] == "test"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in text


@pytest.mark.parametrize("form", FORMS, ids=stem)
def test_a_form_of_an_issue_is_complete(form: Path) -> None:
    content = loaded(form)
    assert {"name", "description", "body"} <= content.keys()
    fields = [field["id"] for field in content["body"]]
    assert len(fields) == len(set(fields))
    assert all(field["type"] in ("textarea", "input") and field["attributes"]["label"] for field in content["body"])
    assert any(field.get("validations", {}).get("required") for field in content["body"])
    named = re.findall(r"docs/[\w-]+\.md", form.read_text())
    assert all((ROOT / name).is_file() for name in named)


def test_all_that_names_the_software_agrees() -> None:
    citation = loaded(ROOT / "CITATION.cff")
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    codemeta = json.loads((ROOT / "codemeta.json").read_text())
    (author,) = PROJECT["authors"]
    assert citation["version"] == zenodo["version"] == codemeta["version"] == metalqr.__version__
    assert citation["title"] == zenodo["title"] == codemeta["name"] == PROJECT["name"]
    assert citation["abstract"] == zenodo["description"] == codemeta["description"]
    assert citation["authors"] == zenodo["creators"] == [author]
    assert [each["name"] for each in codemeta["author"]] == [author["name"]]
    assert citation["keywords"] == zenodo["keywords"] == codemeta["keywords"] == PROJECT["keywords"]
    assert citation["license"] == zenodo["license"] == codemeta["license"].rpartition("/")[2] == PROJECT["license"]
    assert codemeta["runtimePlatform"] == f"Python {PROJECT['requires-python']}"
    (paper,) = citation["references"]
    assert [each["identifier"] for each in zenodo["related_identifiers"]] == [paper["identifiers"][0]["value"]]
    assert (codemeta["referencePublication"]["name"], codemeta["referencePublication"]["url"]) == (
        paper["title"],
        paper["url"],
    )


def test_the_paper_cites_what_its_bibliography_has() -> None:
    _, head, text = (ROOT / "paper.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(head)
    entries = re.findall(r"^@\w+\{(\w+),$", (ROOT / front["bibliography"]).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?<![\w.])@(\w+)", text)) == set(entries)
    assert len(entries) == len(set(entries))
    sections = re.findall(r"^# (.+)$", text, re.MULTILINE)
    assert {"Summary", "Statement of need", "State of the field", "References"} <= set(sections)
    assert [each["name"] for each in front["authors"]] == [each["name"] for each in PROJECT["authors"]]
    known = {each["index"] for each in front["affiliations"]}
    assert {each["affiliation"] for each in front["authors"]} <= known


def test_the_catalogue_of_workflows_finds_what_it_looks_for() -> None:
    usage = loaded(ROOT / ".snakemake-workflow-catalog.yml")["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment"}
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "README.md").is_file()
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme
    assert "workflow" in readme
