"""The direction of imports, what planning may import, and the targets that messages name."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from places import ROOT

from metalqr import results
from metalqr.config.algorithm import all_declarations
from metalqr.results.datasets import coordinate
from metalqr.results.layout import Layout
from pipeline import Sources

PACKAGE = ROOT / "src" / "metalqr"
#: Lowest first: a package imports only those before it.
PACKAGES = [
    "common", "config", "lqr", "systems", "objectives", "optimal", "simulation", "estimators", "theory",
    "results", "training", "initial_gains", "meta", "exchange", "prediction", "advice", "evaluation", "reporting",
    "commands", "cli",
]  # fmt: skip
PLANNING = (
    "from metalqr.config import Plan, registries; from metalqr.config.registry import Registry; "
    "assert all([list(found) for found in Registry.all.values()])"
)
#: What planning must not wait for.
HEAVY = ("altair", "docutils", "jinja2", "matplotlib", "numba", "pandas", "scipy", "seaborn", "snakemake", "xarray")


@cache
def imports() -> dict[Path, set[Path]]:
    """What each module imports, but for annotations."""
    sources = Sources(ROOT)
    return {path: sources.imports(path) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}


def test_every_setting_has_a_coordinate() -> None:
    for each in all_declarations():
        found = coordinate(each.name)
        assert found
        assert found.dims == (each.name,)
        assert found.long_name.startswith(each.label)
    assert coordinate("radius") is None


def test_stage_of_every_file_is_a_target() -> None:
    """A file that cannot be read is refused with the advice to run its stage again."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    layouts = [layout for layout in vars(results).values() if isinstance(layout, Layout)]
    stages = {layout.stage for layout in layouts}
    assert {"tasks", "optima", "runs"} < stages
    assert stages <= set(re.findall(r"^rule (\w+):\n    input:\n        (?:rules|expand)", rules, re.MULTILINE))


def test_packages_import_only_lower_ones() -> None:
    def package(path: Path) -> str:
        return path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    assert {package(path) for path in imports()} == set(PACKAGES)
    upward = [
        f"{path.relative_to(PACKAGE)} imports {other.relative_to(PACKAGE)}"
        for path, imported in imports().items()
        for other in imported
        if PACKAGES.index(package(other)) > PACKAGES.index(package(path))
    ]
    assert not upward


def test_modules_import_one_another_in_no_circle() -> None:
    TopologicalSorter({path: imported - {path} for path, imported in imports().items()}).prepare()


def test_an_init_holds_names_and_no_code() -> None:
    """So what depends on a name depends on the module that defines it, see `pipeline.sources`."""
    for path in PACKAGE.rglob("__init__.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body[1:]:
            names = {ast.unparse(target) for target in node.targets} if isinstance(node, ast.Assign) else set()
            lazy = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            assert lazy or isinstance(node, ast.ImportFrom) or names <= {"__all__", "__getattr__", "__version__"}, path


@cache
def imported(code: str) -> set[str]:
    """The modules that a fresh process has imported after some code."""
    report = "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_config_needs_neither_numpy_nor_anything_heavy() -> None:
    assert not imported("import metalqr.config") & {"numpy", *HEAVY}


def test_planning_imports_nothing_heavy() -> None:
    assert not imported(PLANNING) & set(HEAVY)


def test_other_modules_import_what_their_annotations_name() -> None:
    """Planning alone has to hide imports from Python."""
    hiding = {path for path in imports() if "if TYPE_CHECKING:" in path.read_text(encoding="utf-8")}
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in hiding}
    assert names <= imported(PLANNING)
