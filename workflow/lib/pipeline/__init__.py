"""What the Snakefile needs beyond rules and the config: digests of sources, checks of the folder, what a module needs."""

from pipeline.folder import FolderError, remove_stale_locks, require_plain, require_writable
from pipeline.module import over_default, saved_state
from pipeline.sources import Sources

__all__ = ["FolderError", "Sources", "over_default", "remove_stale_locks", "require_plain", "require_writable", "saved_state"]
