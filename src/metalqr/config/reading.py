"""Reading a config file strictly: what YAML would take in silence, or would run, is refused with its place.

Snakemake reads the same files for itself, and there the second of two equal keys wins without a word. So each file is
read here as well, only to refuse it.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from metalqr.config.problems import ConfigError, key_path, shortened

#: Entries that the anchors of a file may stand for: a few lines can stand for more than a memory holds.
MAX_ENTRIES = 1_000_000
#: A config has 7 levels; far more would end Python's stack.
MAX_LEVELS = 20

_YAML = "tag:yaml.org,2002:"
_PLAIN_TAGS = {f"{_YAML}{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
#: What YAML takes some plain text for, in words.
_READ_AS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
    "value": "a default value",
}
_OPEN_ERRORS = {FileNotFoundError: "there is no such file", IsADirectoryError: "this is a folder, not a file"}
#: Snakemake hands a file with this key to a template engine, which evaluates Python.
_TEMPLATE_KEY = "__use_yte__"
_NO_TEMPLATES = "templates are refused, they run code; write the values themselves"


def read_configs(files: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Read config files one after the other.

    Raises
    ------
    ConfigError
        With the problems of all files.
    """
    configs: list[dict[str, Any]] = []
    problems: list[str] = []
    for file in files:
        try:
            configs.append(read_config(file))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return configs


def plugin_folder(files: Iterable[str | os.PathLike[str]]) -> Path:
    """Read config files, and return the folder of the one that names ``plugins``: their paths are relative to it.

    Parameters
    ----------
    files : iterable of path
        The last one counts most.

    Returns
    -------
    Path
        The working directory, where none of the files names any.

    Raises
    ------
    ConfigError
        With the problems of all files.
    """
    paths = [Path(file) for file in files]
    naming = [path for path, config in zip(paths, read_configs(paths), strict=True) if "plugins" in config]
    return naming[-1].resolve().parent if naming else Path.cwd()


def read_config(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Read one config file.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML, has no keys at its top level, gives a key twice, or has a tag that is not one
        of plain numbers, text, lists and mappings.
    """
    name = os.fspath(file)
    text = _text(name)
    with contextlib.suppress(json.JSONDecodeError, RecursionError):
        return _read_json(name, text)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        problems = list(_problems(node))
        if not problems:
            return dict(loader.construct_document(node))
    except RecursionError:
        problems = [f"nested more than {MAX_LEVELS} levels deep"]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems = [f"{_place(mark)}: {_syntax_problem(error)}"]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems = [f"line {line}: {chr(error.character)!r} is not allowed in YAML; remove it"]
    raise ConfigError(f"{name}: {problem}" for problem in problems)


def _read_json(name: str, text: str) -> dict[str, Any]:
    """A file that is JSON, which Snakemake reads as such: there tabs may indent, and 1e-3 is a number."""
    problems: list[str] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [key for key, _ in pairs]
        problems.extend(
            f"{key_path([key])}: given twice; keep one" for key in {key for key in names if names.count(key) > 1}
        )
        return dict(pairs)

    config = json.loads(text, object_pairs_hook=mapping)
    if not isinstance(config, dict):
        problems.append('no keys at the top level; write keys, such as {"seed": 2025}')
    elif _TEMPLATE_KEY in config:
        problems.append(f"{_TEMPLATE_KEY}: {_NO_TEMPLATES}")
    if problems:
        raise ConfigError(f"{name}: {problem}" for problem in problems)
    return dict(config)


def _text(name: str) -> str:
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        reason = _OPEN_ERRORS.get(type(error), f"it cannot be read ({error.strerror})")
        raise ConfigError([f"{name}: {reason}"]) from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise ConfigError([f"{name}: {problem}"]) from None


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error.context)
    if "'\\t'" in problem:
        return "a tab; indent with spaces"
    if "found another document" in problem:
        return "a second document begins; keep one, without ---"
    where = f" {error.context}" if error.context else ""
    if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        where += f" that begins in line {error.context_mark.line + 1}"
    return f"not YAML: {problem}{where}"


def _problems(node: yaml.Node | None) -> Iterator[str]:
    """All that is refused in a file that is YAML."""
    if node is None:
        yield "empty; write the keys to change, such as seed: 2025"
    elif not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "text"
        yield f"{kind} at the top level; write keys, such as seed: 2025"
    else:
        yield from _Inspection().inspect(node, ())


class _Inspection:
    """A walk over the nodes of a file, each once, however many anchors lead to it."""

    def __init__(self) -> None:
        self._entries: dict[int, int] = {}  # that a finished node stands for
        self._open: set[int] = set()

    def inspect(self, node: yaml.Node, path: tuple[Any, ...]) -> Iterator[str]:
        if id(node) in self._open:
            yield f"{key_path(path)}: {_place(node.start_mark)}: contains itself; remove the alias"
        if id(node) in self._open or id(node) in self._entries:
            return
        if len(path) > MAX_LEVELS:
            yield f"{key_path(path[:3])}: nested more than {MAX_LEVELS} levels deep"
            return
        self._open.add(id(node))
        yield from _tag_problems(node, path)
        children: list[tuple[Any, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            yield from _key_problems(node, path)
            children = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
        elif isinstance(node, yaml.SequenceNode):
            children = list(enumerate(node.value))
        for key, child in children:
            yield from self.inspect(child, (*path, key))
        self._open.discard(id(node))
        entries = 1 + sum(self._entries.get(id(child), 1) for _, child in children)
        self._entries[id(node)] = entries
        # Without anchors a file is as long as what it stands for.
        if not path and entries > max(MAX_ENTRIES, len(self._entries)):
            yield f"its anchors and aliases stand for {entries:,} entries, more than {MAX_ENTRIES:,}; write fewer"


def _tag_problems(node: yaml.Node, path: tuple[Any, ...]) -> Iterator[str]:
    where = f"{key_path(path)}: {_place(node.start_mark)}"
    tag = str(node.tag)
    kind = tag.removeprefix(_YAML)
    if isinstance(node, yaml.ScalarNode) and node.style is None and kind in ("timestamp", "value"):
        yield f"{where}: {shortened(node.value)} is {_READ_AS[kind]} to YAML; put it into quotes if it is text"
    elif tag not in _PLAIN_TAGS:
        written = shortened(f"!!{kind}" if kind != tag else tag)
        yield f"{where}: the tag {written} is refused; a config holds plain numbers, text, lists and keys only"
    elif kind in ("int", "float", "bool"):
        yield from (f"{where}: {problem}" for problem in _number_problems(node, kind))


def _number_problems(node: yaml.Node, kind: str) -> Iterator[str]:
    """Numbers that are not what they look like: 012 is ten and 1:30 is ninety in YAML 1.1."""
    text = node.value
    try:
        value = yaml.SafeLoader("").construct_object(yaml.ScalarNode(node.tag, text))
    except (ValueError, KeyError, IndexError, OverflowError):  # whatever int() and the like make of it
        yield f"{shortened(text)!r} is not {_READ_AS[kind]}"
        return
    digits = text.lstrip("+-")
    octal = kind == "int" and len(digits) > 1 and digits[0] == "0" and digits[1] not in "xXbB"
    if octal or (kind != "bool" and ":" in text):
        yield f"{shortened(text)} is {value} to YAML; write {value}, or put it into quotes if it is text"


def _key_problems(node: yaml.MappingNode, path: tuple[Any, ...]) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        place, line = _place(key.start_mark), key.start_mark.line + 1
        kind = str(key.tag).removeprefix(_YAML)
        if not isinstance(key, yaml.ScalarNode):
            yield f"{key_path(path)}: {place}: a key is a list or a mapping; use text"
        elif kind not in ("str", "merge"):
            known = _READ_AS.get(kind, f"of the tag {shortened(kind)}")
            yield f"{key_path([*path, key.value])}: {place}: this key is {known} to YAML; put it into quotes"
        elif key.value in lines:
            yield f"{key_path([*path, key.value])}: given twice, in line {lines[key.value]} and line {line}; keep one"
        elif not path and key.value == _TEMPLATE_KEY:
            yield f"{_TEMPLATE_KEY}: {place}: {_NO_TEMPLATES}"
        else:
            lines[key.value] = line
