"""What the Snakefile needs beyond rules and the config: source digests, the folder's locks and rights."""

from pipeline.asking import quick
from pipeline.folders import FolderError, require_writable
from pipeline.locking import remove_stale_locks
from pipeline.sources import Sources

__all__ = ["FolderError", "Sources", "quick", "remove_stale_locks", "require_writable"]
