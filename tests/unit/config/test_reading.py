"""Config files as text: what is read, what is refused, and that nothing else ever happens."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from bad_input import rows, unescaped
from configs import DEFAULT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from places import ROOT
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from metalqr.config import ConfigError, check_config, read_arguments, read_config, read_configs
from metalqr.config.problems import key_path
from metalqr.config.reading import lay_over


def problems(path: Path, content: str | bytes) -> tuple[str, ...]:
    """What is refused in a file of this content, without the file's name."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return tuple(problem.removeprefix(f"{path}: ") for problem in caught.value.problems)


def test_default_config_is_read_as_any_yaml() -> None:
    assert yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")) == DEFAULT


SHOWN_BY_SNAKEMAKE = {
    "not valid": (WorkflowError, "Config file is not valid JSON or YAML"),
    "no keys": (WorkflowError, "Config file must be given as JSON or YAML with keys at top level"),
    "UnicodeDecodeError": (UnicodeDecodeError, "can.t decode byte"),
    "ValueError": (ValueError, "month must be"),
}


@pytest.mark.parametrize(("content", "message", "overlay"), rows("Config files that are not plain YAML"))
def test_bad_config_file_on_the_page(
    content: str, message: str, overlay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_bytes(unescaped(content))
    with pytest.raises(ConfigError) as caught:
        read_config("mine.yaml")
    assert caught.value.problems == (message,)
    if overlay.startswith("the same"):
        load_configfile("mine.yaml")
    else:
        error, text = SHOWN_BY_SNAKEMAKE[overlay]
        with pytest.raises(error, match=text):
            load_configfile("mine.yaml")


@pytest.mark.parametrize(
    ("content", "config"),
    [
        ("a: &base {x: 1, y: 2}\nb: {<<: *base, x: 3}\n", {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}),
        # The checks say which number to write, where one is wanted.
        ("a: 1e-3\n", {"a": 0.001}),
        # JSON is read as Snakemake does it: tabs may indent.
        ('{\n\t"a": {\n\t\t"x": 1e-3\n\t}\n}\n', {"a": {"x": 0.001}}),
    ],
)
def test_content_that_is_accepted(content: str, config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    assert read_config(tmp_path / "mine.yaml") == config


# docs/bad-input.md has the others.
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b: c\n", "line 1, column 5: not YAML: mapping values are not allowed here"),
        ("a: !!int x\n", "line 1, column 4: not YAML: 'x' is not a valid int; correct it, or put"),
        ("a: !!bool x\n", "line 1, column 4: not YAML: 'x' is not a valid bool"),
        ("a: {<<: 3}\n", "line 1, column 9: not YAML: expected a mapping or list of mappings for merging, but found"),
        (f"a: {'9' * 5000}\n", f"line 1, column 4: not YAML: '{'9' * 59}... is not a valid int"),
        ("a: !<tag:x,2000:y> 1\n", "line 1, column 4: the tag tag:x,2000:y is refused"),
        ("yes: 1\n", "config: YAML does not read the key 'yes' as text; put it into quotes"),
        ("a: {b: yes}\n", "a.b: Snakemake reads True (YAML 1.1), but YAML 1.2 reads 'yes'; write the one you mean"),
        ("a: 0o17\n", "a: Snakemake reads '0o17' (YAML 1.1), but YAML 1.2 reads 15; write the one you mean"),
        ("a: " + "[" * 600 + "]" * 600, "nested more than 20 levels deep"),
        ("a: " + "[" * 30 + "]" * 30, "a[0][0]: nested more than 20 levels deep"),
        # JSON is read as JSON.
        ('{"a": {"b": 1, "b": 2}}', "b: given twice; keep one"),
        ('{"__use_yte__": true}', "__use_yte__: templates are refused because they run code"),
        ("[1]", "a list at the top level; write keys, such as seed: 2025"),
    ],
)
def test_refused_content(content: str, message: str, tmp_path: Path) -> None:
    assert problems(tmp_path / "mine.yaml", content)[0].startswith(message)


@pytest.mark.slow
def test_a_few_lines_that_stand_for_more_than_a_memory_holds(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 15)]
    assert problems(tmp_path / "mine.yaml", "\n".join(lines)) == (
        "its anchors and aliases expand to more than 1,000,000 entries; write fewer",
    )


def test_problems_of_all_files_at_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("a: yes\nb: 012\n")
    with pytest.raises(ConfigError) as caught:
        read_configs([first, ROOT / "config.yaml", second])
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [str(first), str(first), str(second)]


def test_a_tag_runs_nothing(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    content = f"seed: !!python/object/apply:os.mkdir ['{target}']\n"
    assert problems(tmp_path / "mine.yaml", content)[0].startswith("line 1, column 7: the tag !!python/object/apply:os")
    assert not target.exists()


@pytest.mark.parametrize(
    ("argument", "read"),
    [
        ("algorithm={'iterations': 5}", [{"algorithm": {"iterations": 5}}]),
        ("algorithm={learning_rate: 1e-3, tolerance: 0.5}", [{"algorithm": {"learning_rate": 1e-3, "tolerance": 0.5}}]),
        ('cases={"a": {"initial_gain": [[0, -1.5]]}}', [{"cases": {"a": {"initial_gain": [[0, -1.5]]}}}]),
        (
            "cases={a: {tasks: {name: '2024', other: text}}}",
            [{"cases": {"a": {"tasks": {"name": "2024", "other": "text"}}}}],
        ),
        ("experiments={rollout_length: null}", [{"experiments": {"rollout_length": None}}]),
        ("plugins=[mine.py]", [{"plugins": ["mine.py"]}]),
        ("seed=5", []),
    ],
)
def test_numbers_of_the_command_line_are_numbers(argument: str, read: list[dict[str, Any]]) -> None:
    """Where it has values in values; Snakemake itself reads the numbers that stand alone."""
    assert repr(read_arguments([argument])) == repr(read)


def test_the_command_line_is_read_as_strictly_as_a_file() -> None:
    with pytest.raises(ConfigError, match=r"--config algorithm: line 1, column 17: iterations: given twice; keep one"):
        read_arguments(["algorithm={iterations: 5, iterations: 6}"])
    with pytest.raises(ConfigError, match=r"--config seeds: seeds\[0\]: Snakemake reads 10 \(YAML 1\.1\), but"):
        read_arguments(["seeds=[012]"])


# --- anything at all -------------------------------------------------------------------------------------------------

fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
PARTS = (
    ": |- |\n|  |\t|{|}|[|]|,|a|&a |*a|!|!!int |!!float |<<|? |> |'|\"|012|1:30|1e-3|~|---\n|#|%YAML|\0|é|=|2020-13-01"
)
parts = st.sampled_from([*PARTS.split("|"), "|", "!!python/name:os.system "])
contents = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.lists(parts, max_size=30).map(lambda chosen: "".join(chosen).encode()),
)


def refusal(action: Callable[[], Any]) -> tuple[str, ...]:
    """The problems with which an action is refused; none if it is not. Any other error fails the test."""
    try:
        action()
    except ConfigError as error:
        return error.problems or ("nothing said",)
    return ()


@fuzzed
@given(content=contents)
def test_any_bytes_are_read_or_refused_with_the_files_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    for problem in refusal(lambda: read_config(path)):
        assert problem.startswith(f"{path}: ")
        assert problem.isprintable()


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=4), st.dates(),
    st.sampled_from([10**400, -1, 0, 1, 2**31, 1e-3, "1e-3", "zero", "all", "given", "d1k1", "perturbations"]),
)  # fmt: skip
keys = st.text(max_size=8) | st.sampled_from(["seed", "cases", "tasks", "sweep", "../x", "a/b", "a b"]) | st.integers()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is in a config."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def changed_defaults(draw: st.DrawFn) -> dict[Any, Any]:
    """The default config with some places changed."""
    config: Any = copy.deepcopy(DEFAULT)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(config)[1:]))
        block = config
        for key in path:
            block = block[key]
        action = draw(st.sampled_from(["delete", "replace", "add"]))
        if action == "delete" and len(block) > 1:
            del block[last]
        elif action == "add" and isinstance(block, dict):
            block[draw(keys)] = draw(values)
        else:
            block[last] = draw(values)
    return config


@pytest.mark.slow
@fuzzed
@given(config=st.dictionaries(keys, values, max_size=5) | changed_defaults())
@example(config={"<": []})
@example(config={"[key]": []})
def test_any_mapping_is_a_config_or_refused_with_its_keys(config: dict[Any, Any]) -> None:
    before = repr(config)
    begins = ("config: ", *(key_path([key]) for key in {**DEFAULT, **config}))
    for problem in refusal(lambda: check_config(config)):
        assert problem.startswith(begins)
        assert ": " in problem
        assert problem.isprintable()
        assert len(problem) < 500
    assert repr(config) == before


@pytest.mark.parametrize(
    "change", [{"a": {"b": 2}}, {"a": {"c": [3]}, "d": None}, {"a": 3}, {"e": {"f": {"g": 1}}}, {}]
)
def test_a_config_is_laid_over_another_as_snakemake_does_it(change: dict[str, Any]) -> None:
    ours: dict[str, Any] = {"a": {"b": 1, "c": [1, 2]}, "d": {"x": 1}, "e": 1}
    theirs = copy.deepcopy(ours)
    lay_over(ours, copy.deepcopy(change))
    update_config(theirs, copy.deepcopy(change))
    assert ours == theirs
