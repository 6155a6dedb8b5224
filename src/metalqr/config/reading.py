"""Strict reading of config files: content that YAML would silently accept or execute is rejected, with its line.

Snakemake itself reads the same files with PyYAML, as YAML 1.1, where the second of two equal keys silently wins. So
each file is also read here, as YAML 1.2, only to check it.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError

from metalqr.config.problems import ConfigError, key_path, short_repr, shortened

#: Maximum number of entries of a file of fewer characters: a few anchors can expand to more than fits into memory.
MAX_ENTRIES = 1_000_000
#: A config has 7 levels; far more would overflow Python's stack.
MAX_LEVELS = 20

_OPEN_ERRORS = {FileNotFoundError: "there is no such file", IsADirectoryError: "this is a folder, not a file"}
#: Snakemake passes a file with this key to a template engine, which evaluates Python.
_TEMPLATE_KEY = "__use_yte__"
_PLAIN = "a config holds plain numbers, text, lists and keys only, so put text into quotes"


def read_configs(files: Iterable[str | os.PathLike[str]]) -> tuple[list[dict[str, Any]], Path]:
    """Read config files, with the folder that the paths of ``plugins``, ``tasks`` and ``simulator`` start from.

    It is that of the last file that names one, which counts most; without one, the working directory.

    Raises
    ------
    ConfigError
        With the problems of all files.
    """
    configs: list[dict[str, Any]] = []
    problems: list[str] = []
    folder = Path.cwd()
    for file in files:
        try:
            configs.append(read_config(file))
        except ConfigError as error:
            problems += error.problems
        else:
            folder = Path(file).resolve().parent if _names_a_path(configs[-1]) else folder
    if problems:
        raise ConfigError(problems)
    return configs, folder


def lay_over(config: dict[str, Any], change: dict[str, Any]) -> None:
    """Change a config as Snakemake does it with a further file: mappings are merged, everything else is replaced."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            lay_over(config[key], value)
        else:
            config[key] = value


def _names_a_path(config: dict[str, Any]) -> bool:
    cases = config.get("cases")
    found = [case for case in cases.values() if isinstance(case, dict)] if isinstance(cases, dict) else []
    blocks = [case.get(key) for case in found for key in ("tasks", "simulator")]
    return "plugins" in config or any(isinstance(block, dict) and "path" in block for block in blocks)


def read_config(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Read one config file.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML, has no keys at its top level, gives a key twice, holds anything but plain
        numbers, text, lists and mappings, or means something else in YAML 1.1 than in YAML 1.2.
    """
    name = os.fspath(file)
    try:
        text = _text(name)
        with contextlib.suppress(json.JSONDecodeError, RecursionError):
            # Snakemake reads JSON with a JSON parser: tabs may indent, and 1e-3 is a number.
            config = json.loads(text, object_pairs_hook=_mapping)
            return _checked(config, config, len(text))
        return _checked(*_read_yaml(text), len(text))
    except ConfigError as error:
        raise ConfigError(f"{name}: {problem}" for problem in error.problems) from None
    except RecursionError:
        raise ConfigError([f"{name}: nested more than {MAX_LEVELS} levels deep; flatten it"]) from None


def read_arguments(arguments: Iterable[str]) -> list[dict[str, Any]]:
    """Read the mappings and lists of ``--config KEY=VALUE`` as files are read, so that numbers in them are numbers.

    Snakemake reads every entry of them as text, and other values as numbers where they are.

    Raises
    ------
    ConfigError
        As :func:`read_config`.
    """
    found: list[dict[str, Any]] = []
    for argument in arguments:
        name, _, text = argument.partition("=")
        try:
            value, older = _read_yaml(text)
            if isinstance(value, dict | list):
                found.append(_checked({name: value}, {name: older}, len(text)))
        except ConfigError as error:
            raise ConfigError(f"--config {name}: {problem}" for problem in error.problems) from None
    return found


def _text(name: str) -> str:
    content = b""
    try:
        content = Path(name).read_bytes()
        return content.decode()
    except OSError as error:
        raise ConfigError([_OPEN_ERRORS.get(type(error), f"it cannot be read ({error.strerror})")]) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise ConfigError([f"line {line}: {problem}"]) from None


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The mapping of an object in JSON."""
    names = [name for name, _ in pairs]
    if twice := dict.fromkeys(name for name in names if names.count(name) > 1):
        raise ConfigError(f"{key_path([name])}: given twice; keep one" for name in twice)
    return dict(pairs)


class _Constructor(SafeConstructor):
    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, OverflowError):  # of int() and the like, without the place
            kind = str(node.tag).rpartition(":")[2]
            reason = f"{short_repr(node.value)} is not a valid {kind}; correct it, or put text into quotes"
            raise MarkedYAMLError(None, None, reason, node.start_mark) from None


def _read_yaml(text: str) -> tuple[Any, Any]:
    """The content as YAML 1.2, and as YAML 1.1."""
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _Constructor
    try:
        return loader.load(text), yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (MarkedYAMLError, yaml.MarkedYAMLError) as error:
        mark: Any = error.problem_mark or error.context_mark
        raise ConfigError([f"line {mark.line + 1}, column {mark.column + 1}: {_in_words(error)}"]) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([f"line {line}: {chr(error.character)!r} is not allowed in YAML; remove it"]) from None


def _in_words(error: Any) -> str:
    problem = error.problem or str(error.context)
    if isinstance(error, DuplicateKeyError):
        key = problem.partition('key "')[2].rpartition('" with value')[0]
        return f"{key_path([key])}: given twice; keep one"
    if "a constructor for the tag" in problem:
        tag = problem.partition("the tag ")[2].strip("'").replace("tag:yaml.org,2002:", "!!")
        return f"the tag {shortened(tag)} is refused; {_PLAIN}"
    if "'\\t'" in problem:
        return "a tab; indent with spaces"
    if "found another document" in problem:
        return "a second document begins; keep one, without ---"
    where = f" {error.context}" if error.context else ""
    if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        where += f" that begins in line {error.context_mark.line + 1}"
    return f"not YAML: {problem}{where}"


def _checked(config: Any, older: Any, characters: int) -> dict[str, Any]:
    """A file's content, if it is plain and the same in YAML 1.1."""
    if config is None:
        raise ConfigError(["empty; write the keys to change, such as seed: 2025"])
    if not isinstance(config, dict):
        kind = "a list" if isinstance(config, list) else "text"
        raise ConfigError([f"{kind} at the top level; write keys, such as seed: 2025"])
    if _TEMPLATE_KEY in config:
        raise ConfigError([f"{_TEMPLATE_KEY}: templates are refused because they run code; write out the values"])
    if problems := list(_problems(config, older, (), iter(range(max(MAX_ENTRIES, characters))))):
        raise ConfigError(problems)
    return config


def _problems(value: Any, older: Any, path: tuple[Any, ...], visited: Iterator[int]) -> Iterator[str]:
    if len(path) > MAX_LEVELS:
        raise ConfigError([f"{key_path(path[:3])}: nested more than {MAX_LEVELS} levels deep; flatten it"])
    # A list of numbers at once, because matrices have many.
    numbers = isinstance(value, list) and isinstance(older, list) and _are_numbers(value) and _are_numbers(older)
    if next(itertools.islice(visited, len(value) if numbers else 0, None), None) is None:
        raise ConfigError([f"its anchors and aliases expand to more than {MAX_ENTRIES:,} entries; write fewer"])
    if isinstance(value, dict) and isinstance(older, dict):
        for key, entry in value.items():
            if not isinstance(key, str) or key not in older:
                yield f"{key_path(path)}: YAML does not read the key {short_repr(key)} as text; put it into quotes"
            else:
                yield from _problems(entry, older[key], (*path, key), visited)
    elif numbers and (value is older or repr(value) == repr(older)):
        return
    elif isinstance(value, list) and isinstance(older, list):
        for place, (entry, other) in enumerate(zip(value, older, strict=True)):
            yield from _problems(entry, other, (*path, place), visited)
    elif not isinstance(value, str | int | float | None):
        yield f"{key_path(path)}: YAML reads {shortened(str(value))} as a {type(value).__name__}; {_PLAIN}"
    # Text that looks like a number, 1e-3, is rejected later, where a number is expected, with the number to write.
    elif repr(value) != repr(older) and not (isinstance(older, str) and isinstance(value, float)):
        both = f"Snakemake reads {short_repr(older)} (YAML 1.1), but YAML 1.2 reads {short_repr(value)}"
        yield f"{key_path(path)}: {both}; write the one you mean, or put text into quotes"


def _are_numbers(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int, float}
