"""Check config.yaml with overlays, without Snakemake: `python workflow/lib/check_config.py mine.yaml`.

Snakemake reads an overlay before the Snakefile, and reports some files only as not valid. This program gives the place.
"""

import sys
from pathlib import Path

from snakemake.utils import update_config

ROOT = Path(__file__).resolve().parents[2]
# This checkout's package, as in the jobs, not an installed version.
sys.path.insert(0, str(ROOT / "src"))

from metalqr.config import ConfigError, check_config, read_configs  # noqa: E402


def main(overlays: list[str]) -> None:
    try:
        (config, *changes), folder = read_configs([ROOT / "config.yaml", *overlays])
        for change in changes:
            update_config(config, change)
        warnings = check_config(config, folder).warnings
    except ConfigError as error:
        sys.exit(str(error))
    for warning in warnings:
        print(f"Warning: {warning}")
    print("The config can be used.")


if __name__ == "__main__":
    main(sys.argv[1:])
