"""What the Snakefile needs beyond rules and the config: digests of sources, and checks of the folder."""

from pipeline.folder import FolderError, remove_stale_locks, require_plain, require_writable
from pipeline.sources import Sources

__all__ = ["FolderError", "Sources", "remove_stale_locks", "require_plain", "require_writable"]
