"""The page: the files that it is made of, and what it says about where each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalqr.config.needs import DRAWING, PROCESS

if TYPE_CHECKING:
    from metalqr.config.outputs import Outputs

#: Megabytes of the program that puts the scripts of the charts into one.
BUNDLING = 200
#: The blocks of the config that a kind of result depends on, beside its experiments and cases.
_BLOCKS = {"evaluation": "evaluation", "meta_benefit": "evaluation", "predictions": "prediction"}


class PagePlan:
    """The page of a plan, from its sections, figures and tables."""

    def __init__(self, config: Mapping[str, Any], sections: Outputs, figures: Outputs, tables: Outputs) -> None:
        self._config = config
        self._outputs = {"section": sections, "figure": figures, "table": tables}

    @property
    def section_files(self) -> list[str]:
        """The files of all sections."""
        return self._files("section", "json")

    @property
    def figure_files(self) -> list[str]:
        """The files of all figures that the page shows and offers."""
        return [*self._files("figure", "png"), *self._files("figure", "pdf")]

    @property
    def table_files(self) -> list[str]:
        """The files of all tables that the page shows and offers."""
        return [*self._files("table", "md"), *self._files("table", "csv")]

    def _files(self, kind: str, form: str) -> list[str]:
        outputs = self._outputs[kind]
        return [f"{outputs.folder}/{name}.{form}" for name in outputs.by_name]

    @property
    def assets(self) -> list[Path]:
        """The files of the page that are no Python: its template, its style and its scripts."""
        folder = Path(__file__).parents[1] / "reporting" / "pages" / "assets"
        return [path for path in folder.iterdir() if path.suffix in (".jinja", ".css", ".js")]

    @property
    def memory(self) -> int:
        """Megabytes of the job."""
        return PROCESS + DRAWING + BUNDLING

    def entries(self, wildcards: Any = None) -> list[dict[str, Any]]:
        """What the page says of each section, figure and table."""
        return [
            {
                "kind": kind,
                "name": name,
                "category": output.category,
                "plugin": output.plugin,
                "see": outputs.registry.get(output.plugin).see,
                "caption": output.caption,
                "data": [*output.inputs, *output.predictions],
                "settings": part(self._config, output.reads, output.names),
            }
            for kind, outputs in self._outputs.items()
            for name, output in outputs.by_name.items()
        ]


def part(config: Mapping[str, Any], reads: str, names: Iterable[str]) -> dict[str, Any]:
    """The part of a config that results of a kind depend on: their experiments and cases, and the block of the stage.

    The names are those of experiments, of cases, or of an experiment or a case before a slash.
    """
    words = dict.fromkeys(word for name in names for word in name.split("/"))
    experiments = {name: config["experiments"][name] for name in words if name in config["experiments"]}
    used = dict.fromkeys(case for block in experiments.values() for case in block["cases"])
    if reads == "evaluation" or not experiments:
        used = dict.fromkeys(word for word in words if word in config["cases"])
    found = {"algorithm": config["algorithm"], "cases": {name: config["cases"][name] for name in used}}
    if experiments:
        found["experiments"] = experiments
    if reads not in ("datasets", "meta_optima"):
        block = _BLOCKS.get(reads, "theory")
        found[block] = config[block]
    return found
