"""What differs where another workflow uses the pipeline as a module: its config, and a prefix of its files."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metalqr.config.reading import lay_over, read_config


def over_default(root: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The default config under `root` with that of the module laid over it, as `--configfile` lays a file over it.

    That is with its keys first, which is the order of variants in figures. The config given may be that of the whole
    other workflow, so it is left as it is.

    Raises
    ------
    ConfigError
        If the default config cannot be read.
    """
    whole = copy.deepcopy(dict(config))
    for part in (read_config(root / "config.yaml"), copy.deepcopy(dict(config))):
        lay_over(whole, part)
    return whole


def saved_state(wildcards: Any, output: Sequence[str]) -> str:
    """The file for the saved state of a run: below the same prefix as its output."""
    prefix = output[0].rpartition("results/runs/")[0]
    return f"{prefix}results/checkpoints/{wildcards.case}.{wildcards.configuration}.seed-{wildcards.seed}.nc"
