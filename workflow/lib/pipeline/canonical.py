"""The schema of the config, and the one form of its values, which names runs."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DIGEST_LENGTH = 12
SCHEMA_FILE = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"


@cache
def schema() -> dict[str, Any]:
    """The config's JSON schema, `workflow/schemas/config.schema.yaml`."""
    with SCHEMA_FILE.open(encoding="utf-8") as file:
        return dict(yaml.safe_load(file))


def setting_names() -> tuple[str, ...]:
    """The algorithm's settings, in the order of the schema."""
    return tuple(schema()["$defs"]["algorithm"]["properties"])


def canonical_setting(name: str, value: Any) -> Any:
    """The one form of a setting's value, so that `1` and `1.0` name the same run."""
    if isinstance(value, str):
        return value
    return float(value) if schema()["$defs"]["setting"][name].get("type") == "number" else int(value)


def setting_digest(settings: Mapping[str, Any]) -> str:
    """Short name of an algorithm's settings: it depends on their values only, not on order or spelling (1 or 1.0)."""
    canonical = {name: canonical_setting(name, value) for name, value in settings.items()}
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def canonical_block(value: Any) -> Any:
    """The one form of a block or matrix: keys in order, and `1` as `1.0`. A `count` stays whole."""
    if isinstance(value, Mapping):
        return {key: value[key] if key == "count" else canonical_block(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [canonical_block(entry) for entry in value]
    return value if isinstance(value, str) else float(value)


def complete_settings(config: Mapping[str, Any], case: str) -> dict[str, Any]:
    """The algorithm's settings of a case: its own over the common ones, without what neither gives."""
    given = {**config["algorithm"], **config["cases"][case].get("algorithm", {})}
    return {name: canonical_setting(name, given[name]) for name in setting_names() if name in given}


def theory_cases(config: Mapping[str, Any]) -> list[str]:
    """The cases of the stage `theory`, in the order of the config's cases: by default those that experiments use."""
    wanted = config["theory"]["cases"]
    if wanted == "all":
        wanted = {case for experiment in config["experiments"].values() for case in experiment["cases"]}
    return [case for case in config["cases"] if case in wanted]


def theory_block(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A block of the stage `theory` in its one form: keys in the order of the schema, `1` and `1.0` the same."""
    rules = schema()["$defs"]["theory"]["properties"][name]["properties"]
    return {key: _canonical(config["theory"][name][key], rule) for key, rule in rules.items()}


def _canonical(value: Any, rules: Mapping[str, Any]) -> Any:
    """The one form of a number or a list of numbers, by the rules of the schema for it."""
    if isinstance(value, list):
        return [_canonical(entry, rules["items"]) for entry in value]
    block: Any = schema()
    for key in rules.get("$ref", "").removeprefix("#").split("/")[1:]:
        block = block[key]
    kind = rules["type"] if "type" in rules else block["type"]
    return float(value) if kind == "number" else int(value)
