"""Which source files a script's result depends on, as digests.

Snakemake starts a job again when its *params* change. So every rule carries, as a param, a digest of each file that its
script reaches by imports: an edit of `simulation/lqr_rollouts.py` changes the params of the rules that
simulate, and no others.
Digests of contents, not times, so a fresh checkout or a moved folder starts nothing again.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

import yaml

DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Sources:
    """The project's own sources: a package under `src/`, and the scripts with the helper they share.

    Imports under `if TYPE_CHECKING:` do not count: they never run. Nor do those in an exception handler: they word the
    message of a job that fails. An `__init__.py` that only gathers names (imports, also those for annotations of names
    that it finds lazily, `__all__` and `__version__`, nothing else) is neither counted nor followed, since it would tie
    every script to every module: a name that it gathers (`from metalqr import LQRTasks`, or `optimal.shared_gain` after
    `from metalqr import optimal`) counts as the module which defines it. One with other code counts like any module. A
    package is taken to be used under the name by which the same file imports it.

    Parameters
    ----------
    root : Path
        Folder of the Snakefile.
    package : str
        The package under `root/src`.
    """

    root: Path
    package: str = "metalqr"

    def of(self, script: str, plugins: Iterable[Path] = ()) -> dict[str, str]:
        """Digest of each file that a script depends on, by the file's path; a file elsewhere by its name alone.

        Parameters
        ----------
        script : str
            `workflow/scripts/SCRIPT.py`; it is among the files.
        plugins : iterable of Path
            Files of the plug-ins that the script will look up by name, which no import statement says.
        """
        asked: tuple[str | Path, ...] = (script, *plugins)
        # Kept: thousands of jobs ask for the same.
        if asked not in self._known:
            found: dict[Path, None] = {}
            waiting = [self.scripts / f"{script}.py", *plugins]
            while waiting:
                file = waiting.pop()
                if file not in found:
                    found[file] = None
                    waiting.extend(self._read(file)[1])
            digests: dict[str, list[str]] = {}
            for file in sorted(found):
                if not self._is_config(file):
                    digests.setdefault(self._name_of(file), []).append(self._read(file)[0])
            # Files elsewhere may share a name.
            self._known[asked] = {name: " ".join(sorted(each)) for name, each in digests.items()}
        return self._known[asked]

    def _is_config(self, file: Path) -> bool:
        """Whether a file belongs to `metalqr.config`, which no result depends on.

        It checks and plans. What it finds reaches a job as params, without the defaults; so a new setting, which is a
        field there, starts nothing again. When a default changes, `collect_dataset` refuses the runs made with the old.
        """
        return file.is_relative_to(self.root / "src" / self.package / "config")

    def _name_of(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.name

    def versions(self, environment: str) -> dict[str, str]:
        """What `envs/ENVIRONMENT.yaml` pins, and the package's own version.

        The file has the versions of requirements.lock, so this holds for an installation with pip too.
        """
        content = yaml.safe_load((self.root / "envs" / f"{environment}.yaml").read_text(encoding="utf-8"))
        pins = {name: pin for name, _, pin in (entry.partition(" ") for entry in content["dependencies"])}
        tree = ast.parse((self.root / "src" / self.package / "__init__.py").read_bytes())
        values = [node.value for node in tree.body if isinstance(node, ast.Assign) and _assigned(node) == "__version__"]
        return dict(sorted({**pins, self.package: ast.literal_eval(values[0])}.items()))

    @property
    def scripts(self) -> Path:
        """Folder of the scripts."""
        return self.root / "workflow" / "scripts"

    @cached_property
    def _known(self) -> dict[tuple[str | Path, ...], dict[str, str]]:
        return {}

    @cached_property
    def _cache(self) -> dict[Path, tuple[str, tuple[Path, ...]]]:
        return {}

    @cached_property
    def _gatherings(self) -> dict[str, dict[str, tuple[str, str]] | None]:
        return {}

    def _read(self, file: Path) -> tuple[str, tuple[Path, ...]]:
        """The file's digest and the files that it imports."""
        if file not in self._cache:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
            self._cache[file] = digest, tuple(dict.fromkeys(self._imports(ast.parse(content, file.name), file)))
        return self._cache[file]

    def _imports(self, tree: ast.Module, file: Path) -> Iterator[Path]:
        nodes = list(_run_nodes(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._whole(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = self._absolute(node, file)
                for alias in node.names:
                    names = self._gathered(f"{module}.{alias.name}")
                    used = None if names is None else _attributes(nodes, alias.asname or alias.name)
                    if used is None:
                        yield from self._name(module, alias.name)
                    else:
                        for name in sorted(used):
                            yield from self._name(f"{module}.{alias.name}", name)

    def _name(self, module: str, name: str) -> Iterator[Path]:
        """The files behind a name of a module; the name may be a module as well, or `*`."""
        gathered = self._gathered(module)
        if gathered is not None and name == "*":
            yield from self._whole(module)
        elif gathered and gathered.get(name, (module, name)) != (module, name):
            yield from self._around(module)
            yield from self._name(*gathered[name])
        elif self._file(f"{module}.{name}"):
            yield from self._whole(f"{module}.{name}")
        else:
            yield from self._around(module)

    def _whole(self, module: str) -> Iterator[Path]:
        """The files behind a module: its own, or those that a gathering package gathers."""
        yield from self._around(module)
        for origin in (self._gathered(module) or {}).values():
            if origin[0] != module or self._file(".".join(origin)):
                yield from self._name(*origin)

    def _around(self, module: str) -> Iterator[Path]:
        """The file of a module and those of the packages around it, which Python runs first; not the gathering ones."""
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            part = ".".join(parts[:length])
            file = self._file(part)
            if file and self._gathered(part) is None:
                yield file

    def _gathered(self, module: str) -> dict[str, tuple[str, str]] | None:
        """The names that a package's `__init__` gathers, with module and name there; None for other modules."""
        if module not in self._gatherings:
            file = self._file(module)
            self._gatherings[module] = self._gathers(file) if file and file.name == "__init__.py" else None
        return self._gatherings[module]

    def _gathers(self, file: Path) -> dict[str, tuple[str, str]] | None:
        names: dict[str, tuple[str, str]] = {}
        body = ast.parse(file.read_bytes(), file.name).body
        lazy = [entry for node in body if _is_for_annotations(node) for entry in node.body]
        for node in [*body, *lazy]:
            if isinstance(node, ast.ImportFrom) and node.module in ("typing", "metalqr.common.lazy"):
                continue
            if isinstance(node, ast.ImportFrom) and all(alias.name != "*" for alias in node.names):
                module = self._absolute(node, file)
                names |= {alias.asname or alias.name: (module, alias.name) for alias in node.names}
            elif not (
                _is_docstring(node)
                or _is_for_annotations(node)
                or _assigned(node) in ("__all__", "__version__", "__getattr__")
            ):
                return None
        return names

    def _absolute(self, node: ast.ImportFrom, file: Path) -> str:
        """The full name of the module that a `from ... import` names, also for a relative one."""
        if not node.level:
            return node.module or ""
        folder = file.parent
        for _ in range(node.level - 1):
            folder = folder.parent
        parents = folder.relative_to(self.root / "src").parts
        return ".".join([*parents, *([node.module] if node.module else [])])

    def _file(self, module: str) -> Path | None:
        """The project's file behind a module's full name; None for other libraries."""
        for folder in (self.root / "src", self.scripts):
            path = folder.joinpath(*module.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file
        return None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _assigned(node: ast.stmt) -> str | None:
    """The name that a plain assignment gives a constant, or a list of constants."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return None
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "lazy_names":
        return node.targets[0].id
    entries = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return node.targets[0].id if all(isinstance(entry, ast.Constant) for entry in entries) else None


def _is_for_annotations(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _attributes(nodes: list[ast.AST], name: str) -> set[str] | None:
    """The attributes that are taken of a name; None if it is also used as a whole."""
    owners = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    taken = {id(node.value): node.attr for node in owners}
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
    return {taken[id(use)] for use in uses} if all(id(use) in taken for use in uses) else None


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of the tree but the bodies of `if TYPE_CHECKING:` and of exception handlers."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ExceptHandler):
            continue
        if _is_for_annotations(child):
            for other in child.orelse:
                yield other
                yield from _run_nodes(other)
            continue
        yield child
        yield from _run_nodes(child)
