"""Configs for tests: the default one with overlays, its plan, and the problems that a config has."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT
from snakemake.utils import update_config

from metalqr.config import ConfigError, Plan, check_config, read_config

DEFAULT = read_config(ROOT / "config.yaml")


def overlaid(*overlays: str | dict[str, Any]) -> dict[str, Any]:
    """The default config with others laid over it, as Snakemake does it; ``null`` removes a key."""
    config = copy.deepcopy(DEFAULT)
    for overlay in overlays:
        update_config(config, yaml.safe_load(overlay) if isinstance(overlay, str) else overlay)
    return config


def with_value(key: str, value: Any, config: dict[str, Any] = DEFAULT) -> dict[str, Any]:
    """A copy of a config with one value at a dotted path."""
    changed = copy.deepcopy(config)
    *path, last = key.split(".")
    block = changed
    for part in path:
        block = block[part]
    block[last] = value
    return changed


def planned(*overlays: str | dict[str, Any]) -> Plan:
    """The plan of the default config with others laid over it."""
    return Plan(overlaid(*overlays))


def problems(config: dict[str, Any], folder: Path | None = None) -> tuple[str, ...]:
    """The problems for which a config is refused."""
    with pytest.raises(ConfigError) as caught:
        check_config(config, folder)
    return caught.value.problems
