"""What the Snakefile needs beyond rules, as plain Python: the checked config, the plan of runs, the source digests.

It imports nothing of `metalqr`, so that planning needs Snakemake's own environment only and starts fast.
"""

from pipeline.configuration import ConfigError, check_config
from pipeline.locking import remove_stale_locks
from pipeline.plan import Plan
from pipeline.sources import Sources

__all__ = ["ConfigError", "Plan", "Sources", "check_config", "remove_stale_locks"]
