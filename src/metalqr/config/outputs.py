"""The figures and tables of a config: for each file its plug-in, its inputs and its caption.

The plug-ins declare what they read (see :mod:`metalqr.reporting.product`); the kinds of results are listed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config.needs import DRAWING, PROCESS
from metalqr.config.problems import ConfigError, nearest
from metalqr.config.registries import figures, tables

if TYPE_CHECKING:
    from metalqr.config.plan import Plan
    from metalqr.config.registry import Registry

#: File formats of a figure.
FIGURE_FORMATS = ("pdf", "svg", "png")
#: File formats of a table.
TABLE_FORMATS = ("md", "csv")
#: The file format of a section of the page.
SECTION_FORMATS = ("json",)
#: In the name of a file, the placeholder for an experiment or case.
EACH = "{name}"
#: The kinds of results that figures and tables can read, with the function that reads one file: ``module:function``.
READERS = {
    "datasets": "metalqr.results.datasets:load_experiment",
    "meta_optima": "metalqr.results.meta_optima:load_meta_optimum_at",
    "theory": "metalqr.results.theory:load_theory",
    "estimation_error": "metalqr.evaluation.estimation_error.curves:load_estimation_error",
    "exact_methods": "metalqr.evaluation.exact_methods.dataset:load_exact_methods",
    "stability": "metalqr.evaluation.stability:load_stability",
    "certificates": "metalqr.evaluation.certificates:load_certificates",
    "evaluation": "metalqr.evaluation.adaptation.dataset:load_evaluation",
    "meta_benefit": "metalqr.evaluation.benefit.dataset:load_meta_benefit",
    "predictions": "metalqr.reporting.predictions:load_compared",
}
#: The target that makes the figures and tables of a kind of result, if it is not `theory`.
_STAGES = {
    "datasets": "datasets",
    "meta_optima": "optima",
    "evaluation": "evaluation",
    "meta_benefit": "evaluation",
    "predictions": "predictions",
}


def reserved_by(experiment: str) -> str | None:
    """The figure or table whose files an experiment of this name would write to, for a message; None if there is none.

    Case is ignored, because some file systems do not distinguish capitals from small letters.
    """
    for registry in (figures, tables):
        for product in registry:
            if EACH not in product.file and _pattern(product).lower() == experiment.lower():
                return f"the {registry.kind} {product.name}"
    return None


def _pattern(product: Any) -> str:
    return product.file or product.name


def _source(reader: str) -> Path:
    """The file of the function that reads a kind of result."""
    return Path(__file__).parents[2].joinpath(*reader.partition(":")[0].split(".")).with_suffix(".py")


class Output(NamedTuple):
    """One figure or table: its files from some results, with what the rules and the report need to know of them."""

    plugin: str
    #: The kind of result that it reads, a key of :data:`READERS`.
    reads: str
    #: The experiments or cases that it shows, and the file of each.
    names: list[str]
    inputs: list[str]
    #: The experiments whose predicted learning curves it shows beside, and the file of each.
    predicted: dict[str, str]
    #: The source files that a script imports by name: those of the plug-in and of the reader.
    sources: list[Path]
    #: The section and the columns of the report's list, and the text there.
    category: str
    labels: dict[str, str]
    caption: str

    @property
    def reader(self) -> str:
        """The function that reads a file."""
        return READERS[self.reads]

    @property
    def predictions(self) -> list[str]:
        """The files of the predicted learning curves."""
        return list(self.predicted.values())

    @property
    def stage(self) -> str:
        """The target that makes it."""
        return _STAGES.get(self.reads, "theory")


class Outputs:
    """All figures of a plan, or all tables, by the name of their files without suffix.

    The kind of the registry is the name of the rules' wildcard.

    Raises
    ------
    ConfigError
        If a plug-in reads what does not exist, or two would write to the same files.
    """

    def __init__(self, plan: Plan, registry: Registry[Any], formats: tuple[str, ...]) -> None:
        self.plan, self.registry, self.formats = plan, registry, formats
        self.folder = f"results/{registry.kind}s"
        self.by_name: dict[str, Output] = {}
        # Some file systems do not distinguish capitals.
        owners: dict[str, str] = {}
        for plugin in registry:
            for name, output in self._outputs_of(plugin()):
                owner = owners.setdefault(name.lower(), plugin.name)
                if owner != plugin.name:
                    both = f"the {registry.kind}s {owner} and {plugin.name} would both write to {self.folder}/{name}.*"
                    raise ConfigError([f"plugins: {both}; give one of them another file name"])
                self.by_name[name] = output

    def _outputs_of(self, product: Any) -> Iterator[tuple[str, Output]]:
        if product.reads not in READERS:
            reads = f"the {self.registry.kind} {product.name} reads {product.reads!r}, which is not a kind of result"
            raise ConfigError([f"plugins: {reads}; {nearest(product.reads, list(READERS))}"])
        files = self.plan.results(product.reads)
        if product.reads == "datasets":
            files = {name: file for name, file in files.items() if product.takes(self.plan.experiments[name])}
        pattern = _pattern(product)
        groups = [{name: file} for name, file in files.items()] if EACH in pattern else [files] if files else []
        sources = [product.source, _source(READERS[product.reads])]
        for group in groups:
            name, names = pattern.replace(EACH, next(iter(group))), list(group)
            caption, predicted, needed = product.caption(self.plan.config, names), {}, sources
            if product.shows_predictions:
                predicted = self.plan.prediction.shown(names)
                needed = [*sources, *([_source(READERS["predictions"])] if predicted else [])]
                caption = "\n\n* ".join([caption, *self.plan.prediction.notes(names)])
            listed = needed, product.category, product.labels(name), caption
            yield name, Output(product.name, product.reads, names, list(group.values()), predicted, *listed)

    # For the rules. Without an output, the pattern matches nothing.

    @property
    def pattern(self) -> str:
        """A regular expression of all names, for the wildcard."""
        return "|".join(self.by_name) or "(?!)"

    def files(self, stage: str) -> list[str]:
        """The files, in all formats, of what the target of a stage makes."""
        names = [name for name, output in self.by_name.items() if output.stage == stage]
        return [f"{self.folder}/{name}.{form}" for name in names for form in self.formats]

    def of(self, attribute: str) -> Callable[[Any], Any]:
        """The function that gives a rule an attribute of the output that its wildcard names."""
        return lambda wildcards: getattr(self._find(wildcards), attribute)

    @property
    def params(self) -> dict[str, Callable[[Any], Any]]:
        """The params of the script of an output, with its caption."""
        return {name: self.of(name) for name in ("plugin", "names", "reader", "caption")}

    def memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes of the job."""
        output = self._find(wildcards)
        held = sum(self.plan.megabytes_of(output.reads, name) for name in output.names)
        held += sum(self.plan.megabytes_of("predictions", name) for name in output.predicted)
        return math.ceil(attempt * (PROCESS + DRAWING + held))

    def _find(self, wildcards: Any) -> Output:
        return self.by_name[getattr(wildcards, self.registry.kind)]
