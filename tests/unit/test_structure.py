"""The direction of imports, what planning may import, and the targets that messages name."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from places import ROOT

from metalqr import results
from metalqr.config.algorithm import all_declarations
from metalqr.config.registry import Registry
from metalqr.results.datasets import coordinate
from metalqr.results.layout import Layout

PACKAGE = ROOT / "src" / "metalqr"
#: Ground floor first: a package imports only those before it. `__init__` of metalqr gathers, so it is left out.
FLOORS = [
    "common", "config", "lqr", "systems", "objectives", "optimal", "simulation", "estimators", "theory",
    "results", "training", "meta", "evaluation", "reporting",
]  # fmt: skip
#: What planning must not wait for.
HEAVY = ("matplotlib", "numba", "pandas", "scipy", "seaborn", "snakemake", "xarray")


def test_every_setting_has_a_coordinate() -> None:
    for each in all_declarations():
        assert coordinate(each.name).long_name.startswith(each.label)
    assert coordinate("tasks.spectral_radius").dims == ("tasks.spectral_radius",)
    assert coordinate("radius") is None


def test_stage_of_every_file_is_a_target() -> None:
    """A file that cannot be read is refused with the advice to run its stage again."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    layouts = [layout for layout in vars(results).values() if isinstance(layout, Layout)]
    stages = {layout.stage for layout in layouts}
    assert {"tasks", "optima", "runs"} < stages
    assert stages <= set(re.findall(r"^rule (\w+):\n    input:\n        (?:rules|expand)", rules, re.MULTILINE))


def run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those for annotations alone."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from run_nodes(child)


def test_imports_go_up_the_list_only() -> None:
    assert {path.stem for path in PACKAGE.iterdir() if path.stem[0] != "_" and path.suffix != ".typed"} == set(FLOORS)
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in run_nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                here == "__init__"
                or not isinstance(node, ast.ImportFrom)
                or not (node.module or "").startswith("metalqr")
            ):
                continue
            modules = [node.module] if "." in str(node.module) else [f"metalqr.{alias.name}" for alias in node.names]
            for floor in {str(module).split(".")[1] for module in modules} & set(FLOORS):
                if FLOORS.index(floor) > FLOORS.index(here):
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {floor}")
    assert not wrong


def imported(code: str) -> set[str]:
    """The libraries that a fresh process has imported after some code."""
    report = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_config_needs_neither_numpy_nor_anything_heavy() -> None:
    assert not imported("import metalqr.config") & {"numpy", *HEAVY}


@pytest.mark.parametrize("kind", list(Registry.all))
def test_plugins_import_nothing_heavy(kind: str) -> None:
    code = "from metalqr.config import registries; from metalqr.config.registry import Registry"
    assert not imported(f"{code}; found = list(Registry.all[{kind!r}]); assert found") & set(HEAVY)
