"""What several modules must agree on: the names of the settings, and the direction of imports."""

import ast
import re
from pathlib import Path

from metalqr import storage
from metalqr.figures.sweeps import SETTING_LABELS
from metalqr.settings import MetaSettings
from metalqr.storage.experiments import COORDINATES
from metalqr.storage.layout import Layout
from pipeline.configuration import schema

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "metalqr"
#: Ground floor first: a module imports only those before it. `__init__` of the package gathers, so it is left out.
FLOORS = [
    "atomic", "compiled", "lanes", "progress", "settings", "normals", "random",
    "lqr", "objective", "optimal", "learnability", "first_order",
    "families", "coordinates", "simulation", "kernel", "rollout", "estimators", "meta",
    "estimation_error", "stability", "theory",
    "storage", "checkpointing", "summaries", "tables", "theory_tables", "figures",
]  # fmt: skip


def test_every_list_of_settings_is_complete() -> None:
    names = set(MetaSettings.names())
    assert set(SETTING_LABELS) == names
    assert set(COORDINATES) == names | {"iteration", "seed"}
    assert set(schema()["$defs"]["algorithm"]["properties"]) == names


def test_stage_of_every_file_is_a_target() -> None:
    """A file that cannot be read is refused with the advice to run its stage again."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    layouts = [layout for layout in vars(storage).values() if isinstance(layout, Layout)]
    stages = {layout.stage for layout in layouts} - {storage.CHECKPOINTS.stage}
    assert {"tasks", "optima", "runs"} < stages
    assert stages <= set(re.findall(r"^rule (\w+):\n    input:\n        (?:rules|expand)", rules, re.MULTILINE))


def test_imports_go_up_the_list_only() -> None:
    assert {path.stem for path in PACKAGE.iterdir() if path.stem[0] != "_" and path.suffix != ".typed"} == set(FLOORS)
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                here == "__init__"
                or not isinstance(node, ast.ImportFrom)
                or not (node.module or "").startswith("metalqr")
            ):
                continue
            modules = [node.module] if "." in str(node.module) else [f"metalqr.{alias.name}" for alias in node.names]
            for floor in {str(module).split(".")[1] for module in modules} & set(FLOORS):
                if FLOORS.index(floor) > FLOORS.index(here):
                    wrong.append(f"{here} imports {floor}")
    assert not wrong
