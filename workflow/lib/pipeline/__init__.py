"""What the Snakefile needs beyond rules, as plain Python: the checked config, the plan of runs, the source digests.

It imports nothing of `metalqr`, so that planning needs Snakemake's own environment only and starts fast.
"""

from pipeline.configuration import check_config
from pipeline.folders import FolderError, require_writable
from pipeline.locking import remove_stale_locks
from pipeline.plan import Plan
from pipeline.problems import ConfigError
from pipeline.reading import read_config, read_configs
from pipeline.sources import Sources

__all__ = [
    "ConfigError",
    "FolderError",
    "Plan",
    "Sources",
    "check_config",
    "read_config",
    "read_configs",
    "remove_stale_locks",
    "require_writable",
]
