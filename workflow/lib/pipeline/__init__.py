"""What the Snakefile needs beyond rules and the config: digests of sources, checks of the folder, estimated jobs."""

from pipeline.folder import FolderError, remove_stale_locks, require_plain, require_writable
from pipeline.progress import planned_jobs
from pipeline.sources import Sources

__all__ = ["FolderError", "Sources", "planned_jobs", "remove_stale_locks", "require_plain", "require_writable"]
