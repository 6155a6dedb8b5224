"""Check config.yaml with overlays laid over it, without Snakemake: `python workflow/lib/check_config.py mine.yaml`.

Snakemake reads an overlay before the Snakefile, and says of some files only that they are not valid. This says where.
"""

import sys
from pathlib import Path

from snakemake.utils import update_config

from pipeline import ConfigError, check_config, read_configs

ROOT = Path(__file__).resolve().parents[2]


def main(overlays: list[str]) -> None:
    try:
        config, *changes = read_configs([ROOT / "config.yaml", *overlays])
        for change in changes:
            update_config(config, change)
        check_config(config)
    except ConfigError as error:
        sys.exit(str(error))
    print("The config can be used.")


if __name__ == "__main__":
    main(sys.argv[1:])
