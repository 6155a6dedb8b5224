"""Which source files a script's result depends on, as digests.

Snakemake starts a job again when its *params* change. So every rule carries, as a param, a digest of each file that its
script reaches by imports: an edit of `metalqr/figures.py` changes the params of the rules that draw, and no others.
Digests of contents, not times, so a fresh checkout or a moved folder starts nothing again.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Sources:
    """The project's own sources: a package under `src/`, and the scripts with the helper they share.

    Imports under `if TYPE_CHECKING:` do not count: they never run. `PACKAGE/__init__.py` itself is neither counted nor
    followed: it only gathers names, and would tie every script to every module. A name that it gathers (`from metalqr
    import LQRTasks`) counts as the module which defines it.

    Parameters
    ----------
    root : Path
        Folder of the Snakefile.
    package : str
        The package under `root/src`.
    """

    root: Path
    package: str = "metalqr"

    def of(self, script: str) -> dict[str, str]:
        """Digest of each file that `workflow/scripts/SCRIPT.py` depends on, itself included, by the file's path."""
        found: dict[Path, None] = {}
        waiting = [self.scripts / f"{script}.py"]
        while waiting:
            file = waiting.pop()
            if file not in found:
                found[file] = None
                waiting.extend(self._imported(file))
        return {file.relative_to(self.root).as_posix(): self._digest(file) for file in sorted(found)}

    @property
    def scripts(self) -> Path:
        """Folder of the scripts."""
        return self.root / "workflow" / "scripts"

    @cached_property
    def _cache(self) -> dict[Path, tuple[str, tuple[Path, ...]]]:
        return {}

    @cached_property
    def _gathered(self) -> dict[str, Path]:
        """Names that the package's `__init__` imports, with the file each comes from."""
        init = self.root / "src" / self.package / "__init__.py"
        if not init.is_file():
            return {}
        names = {}
        for node in ast.walk(ast.parse(init.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                module = self._absolute(node, init)
                for alias in node.names:
                    file = self._file(f"{module}.{alias.name}") or self._file(module)
                    if file:
                        names[alias.asname or alias.name] = file
        return names

    def _digest(self, file: Path) -> str:
        return self._read(file)[0]

    def _imported(self, file: Path) -> tuple[Path, ...]:
        return self._read(file)[1]

    def _read(self, file: Path) -> tuple[str, tuple[Path, ...]]:
        if file not in self._cache:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
            self._cache[file] = digest, tuple(dict.fromkeys(self._imports(ast.parse(content, file.name), file)))
        return self._cache[file]

    def _imports(self, tree: ast.Module, file: Path) -> Iterator[Path]:
        for node in _run_nodes(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._files(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = self._absolute(node, file)
                yield from self._files(module)
                for alias in node.names:
                    name = f"{module}.{alias.name}"
                    yield from self._files(name)
                    if module == self.package and self._file(name) is None and alias.name in self._gathered:
                        yield self._gathered[alias.name]

    def _absolute(self, node: ast.ImportFrom, file: Path) -> str:
        """The full name of the module that a `from ... import` names, also for a relative one."""
        if not node.level:
            return node.module or ""
        folder = file.parent
        for _ in range(node.level - 1):
            folder = folder.parent
        parents = folder.relative_to(self.root / "src").parts
        return ".".join([*parents, *([node.module] if node.module else [])])

    def _files(self, module: str) -> Iterator[Path]:
        """The file of a module and those of the packages around it, which Python runs first."""
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            file = self._file(".".join(parts[:length]))
            if file:
                yield file

    def _file(self, module: str) -> Path | None:
        """The project's file behind a module's full name; None for other libraries and the package's own `__init__`."""
        if module == self.package:
            return None
        for folder in (self.root / "src", self.scripts):
            path = folder.joinpath(*module.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file
        return None


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of the tree but the bodies of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _run_nodes(other)
            continue
        yield child
        yield from _run_nodes(child)
