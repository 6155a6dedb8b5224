"""Source files that a script's result depends on, as digests.

Snakemake reruns a job whose *params* change. So every rule carries, as a param, the digest of each file that its script
reaches by imports: an edit of `simulation/streams.py` changes the params of the rules that simulate, and no others.
These are digests of contents, not times, so a fresh checkout or a moved folder reruns nothing.
"""

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import metalqr
from metalqr.config.plan import quick

DIGEST_LENGTH = 12
#: The files of the plug-ins of a job, from its wildcards.
Plugins = Callable[[Any], Iterable[Path]]


class Sources:
    """The packages under `src/`, and the scripts with the module they share.

    `root` is the folder of the Snakefile.

    A package's `__init__.py` holds names from its modules and no code, so it does not count: a name imported from a
    package counts as the module that defines it, and a package imported as a whole as all that it names. Imports under
    `if TYPE_CHECKING:` do not count elsewhere, since they never run, nor do those in an exception handler, which word
    the message of a job that fails. Nor does `metalqr.config`, which checks and plans: what it finds reaches a job as
    params.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scripts = root / "workflow" / "scripts"
        # Thousands of jobs need the same digests.
        self._of = cache(self._reached)
        self._digest = cache(_digest)
        self.imports = cache(self._imports)
        self._names = cache(_names)
        self._found = cache(self._files)

    def params(self, environment: str, script: str, plugins: Plugins | None = None) -> dict[str, Any]:
        """The params of a rule that say what its results depend on; the plug-ins are those of a job's wildcards."""

        def of_job(wildcards: Any) -> dict[str, str]:
            return self.of(script, plugins(wildcards) if plugins else ())

        return {"sources": quick(of_job), "versions": self.versions(environment)}

    def digests(self, files: Iterable[Path]) -> dict[str, str]:
        """Digest of each file that a script reads and that is no Python, by its name."""
        return {file.name: self._digest(file) for file in sorted(files)}

    def of(self, script: str, plugins: Iterable[Path] = ()) -> dict[str, str]:
        """Digest of each file that `workflow/scripts/SCRIPT.py` depends on, itself included, sorted by the file's path.

        The files of plug-ins are those that the script looks up by name, which no import statement says. A file outside
        the project has its name alone; those of the same name share an entry.
        """
        return self._of(script, tuple(plugins))

    def versions(self, environment: str) -> dict[str, str]:
        """Versions of metalqr and of what `envs/ENVIRONMENT.yaml` pins; an installation with pip has the same."""
        content = yaml.safe_load((self.root / "envs" / f"{environment}.yaml").read_text(encoding="utf-8"))
        pins = (entry.partition(" ") for entry in sorted(content["dependencies"]))
        return {"metalqr": metalqr.__version__, **{name: pin for name, _, pin in pins}}

    def _reached(self, script: str, plugins: tuple[Path, ...]) -> dict[str, str]:
        config = self.root / "src" / "metalqr" / "config"
        reached: set[Path] = set()
        waiting = [self.scripts / f"{script}.py", *plugins]
        while waiting:
            file = waiting.pop()
            if file not in reached and not file.is_relative_to(config):
                reached.add(file)
                waiting.extend(self.imports(file))
        digests: dict[str, list[str]] = {}
        for file in sorted(reached):
            name = file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.name
            digests.setdefault(name, []).append(self._digest(file))
        return {name: " ".join(sorted(each)) for name, each in digests.items()}

    def _imports(self, file: Path) -> set[Path]:
        """The files of this project that a file imports."""
        names = _imported(ast.parse(file.read_bytes(), file.name))
        return {found for name in names for found in self._found(name)}

    def _files(self, name: str) -> set[Path]:
        """The files behind the full name of a module, a package, or something in one; none for other libraries."""
        module, _, attribute = name.rpartition(".")
        for folder in (self.root / "src", self.scripts):
            path = folder.joinpath(*name.split("."))
            if path.with_suffix(".py").is_file():
                return {path.with_suffix(".py")}
            if (path / "__init__.py").is_file():
                return {file for full in self._names(path).values() for file in self._found(full)}
            if (path.parent / "__init__.py").is_file():
                return self._found(self._names(path.parent).get(attribute, ""))
        return self._found(module) if module else set()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_LENGTH]


def _names(package: Path) -> dict[str, str]:
    """The full name of each name that a package's `__init__.py` imports, also of those that it finds lazily."""
    tree = ast.parse((package / "__init__.py").read_bytes())
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _imported(tree: ast.AST) -> Iterator[str]:
    """The full names that a file imports, but for annotations and in exception handlers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}".removesuffix(".*") for alias in node.names)
        # No expression holds an import; most of a file are expressions.
        elif not isinstance(node, ast.expr | ast.ExceptHandler) and not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            yield from _imported(node)
