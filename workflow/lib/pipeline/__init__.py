"""What the Snakefile needs beyond rules and the config.

That is digests of sources, checks of the folder, what the terminal shows of jobs, and what a module needs.
"""

from pipeline.folder import FolderError, remove_stale_locks, require_plain, require_writable
from pipeline.module import over_default, saved_state
from pipeline.progress import planned_jobs
from pipeline.sources import Sources

__all__ = [
    "FolderError",
    "Sources",
    "over_default",
    "planned_jobs",
    "remove_stale_locks",
    "require_plain",
    "require_writable",
    "saved_state",
]
