"""The schema of the config, and the one form of its values, which names runs."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

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
